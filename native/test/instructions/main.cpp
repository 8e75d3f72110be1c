// Runs one small piece of work many times, for scripts/instructions.mjs, which counts the instructions.
// instructions NAME TIMES; without arguments it prints the compiler.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <vector>

#include "../control.h"
#include "../sets.h"

namespace {
/// A plan of one tensor, in the narrowest set that every x64 and arm64 machine has beside the scalar one.
struct OneTensor {
  static constexpr size_t kStride = kPassFloats + kMaxConstants;

  OneTensor(const char* kernel, size_t length) : control(idle()), param(length, 1), grad(length, 0.5f) {
    const KernelSet* sets[kMaxSets];
    const size_t count = available(sets, kMaxSets);
    const KernelSet& set = *sets[count > 1 ? count - 2 : 0];
    for (std::vector<float>& buffer : state) buffer.assign(length, 0.25f);
    for (float& constant : rows) constant = 0.5f;
    const float pass[] = {1, INFINITY, 0, 1, 0, 0};
    memcpy(rows, pass, sizeof pass);
    plan.reset(new Plan(set, 1, {&control, rows, kStride, &row}));
    Span span = {param.data(), grad.data(), nullptr, {}, length, false};
    for (size_t s = 0; s < kernelNamed(set, kernel)->stateCount; ++s) span.state[s] = state[s].data();
    plan->setTensor(0, kernelNamed(set, kernel), span, 0);
    plan->setGrad(0, grad.data());
  }

  Control control;
  float rows[kStride];
  int32_t row = 0;
  std::vector<float> param, grad, state[kMaxState];
  std::unique_ptr<Plan> plan;
};

void run(OneTensor& tensor, size_t times) {
  for (size_t i = 0; i < times; ++i) tensor.plan->step();
}
}  // namespace

int main(int count, char** given) {
  if (count != 3) {
#ifdef __clang__
    printf("%s\n", __VERSION__);
#else
    printf("GCC %s\n", __VERSION__);
#endif
    return 0;
  }
  const char* const name = given[1];
  const size_t times = strtoul(given[2], nullptr, 10);
  if (strcmp(name, "small dense step") == 0) {
    OneTensor tensor("adam", 16);
    run(tensor, times);
  } else if (strcmp(name, "chunk of Adam") == 0) {
    OneTensor tensor("adam", kChunk);
    run(tensor, times);
  } else if (strcmp(name, "chunk of SGD") == 0) {
    OneTensor tensor("sgd", kChunk);
    run(tensor, times);
  } else if (strcmp(name, "64 sparse rows") == 0) {
    OneTensor tensor("adagrad", 1000 * 16);
    uint32_t rows[64];
    for (uint32_t i = 0; i < 64; ++i) rows[i] = i * 389 % 1000;
    tensor.plan->setSparseGrad(0, {rows, 64, tensor.grad.data(), 16});
    run(tensor, times);
  } else {
    return 1;
  }
  return 0;
}
