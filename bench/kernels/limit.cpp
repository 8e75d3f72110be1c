// Compares each kernel with the limit of memory bandwidth: a loop over the same number of arrays that computes next to
// nothing. Both run on one thread, alternately. Prints medians: ns per parameter, GB/s, and the ratio to the limit of
// the same round.
//   limit [isa] [elements ...]
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "../../native/engine/dispatch.h"
#include "../../native/engine/roots.h"

namespace {
// Reads the param, the gradient and kState state buffers. Writes all but the gradient.
template <size_t kState>
void touch(const Span& span) {
  float* __restrict param = span.param;
  const float* __restrict grad = span.grad;
  float* __restrict a = span.state[0];
  float* __restrict b = span.state[1];
  float* __restrict c = span.state[2];
  for (size_t i = 0; i < span.length; ++i) {
    const float g = grad[i];
    param[i] = param[i] + g;
    if (kState > 0) a[i] = a[i] + g;
    if (kState > 1) b[i] = b[i] + g;
    if (kState > 2) c[i] = c[i] + g;
  }
}
void limit(size_t states, const Span& span) {
  if (states == 0) touch<0>(span);
  if (states == 1) touch<1>(span);
  if (states == 2) touch<2>(span);
  if (states == 3) touch<3>(span);
}

template <class F>
double seconds(size_t repeats, F&& f) {
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < repeats; ++i) f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / static_cast<double>(repeats);
}
double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}
}  // namespace

int main(int argc, char** argv) {
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  const KernelSet* set = sets[0];
  std::vector<size_t> sizes;
  for (int i = 1; i < argc; ++i) {
    for (size_t s = 0; s < count; ++s) {
      if (strcmp(argv[i], sets[s]->isa) == 0) set = sets[s];
    }
    if (atof(argv[i]) >= 1) sizes.push_back(static_cast<size_t>(atof(argv[i])));
  }
  if (sizes.empty()) sizes = {1000, 100000, 1000000, 10000000};
  printf("%s, 1 thread\n%-26s %10s %9s %9s %7s %7s\n", set->isa, "kernel", "n", "ns/param", "limit", "GB/s", "ratio");
  for (const size_t n : sizes) {
    std::vector<float*> memory;
    for (size_t i = 0; i < 2 + kMaxState; ++i) {
      memory.push_back(static_cast<float*>(aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64)));
      for (size_t j = 0; j < n; ++j) memory[i][j] = 0.001f * static_cast<float>(j % 1000 + 1);
    }
    Span span = {};
    span.param = memory[0];
    span.grad = memory[1];
    for (size_t i = 0; i < kMaxState; ++i) span.state[i] = memory[2 + i];
    span.length = n;
    const Pass pass = {1, INFINITY, 0, 1, 0, 0};
    // Small steps, and averages of the size of the gradient: no denormal numbers, no overflow.
    const float constants[kMaxConstants] = {0.9f, 0.1f, 0.999f, 0.001f, 1e-6f, 1.0f, 1e-8f};
    for (size_t k = 0; k < set->count; ++k) {
      const Kernel& kernel = set->kernels[k];
      const size_t states = kernel.stateCount;
      const auto run = (n < kMinForRoots ? &kernel : withFasterRoots(&kernel))->run;
      const size_t repeats = std::max<size_t>(1, 4000000 / n);
      std::vector<double> ours, limits, ratios;
      for (int round = 0; round < 21; ++round) {
        // SGD with lr 0.9 on a constant gradient diverges, but these rounds are too few to overflow.
        for (size_t i = 0; i < 2; ++i) std::fill(memory[i], memory[i] + n, 0.01f);
        for (size_t i = 2; i < memory.size(); ++i) std::fill(memory[i], memory[i] + n, 0.02f);
        limits.push_back(seconds(repeats, [&] { limit(states, span); }));
        for (size_t i = 0; i < memory.size(); ++i) std::fill(memory[i], memory[i] + n, 0.02f);
        ours.push_back(seconds(repeats, [&] { run(pass, constants, span); }));
        ratios.push_back(ours.back() / limits.back());
      }
      const double bytes = static_cast<double>((3 + 2 * states) * sizeof(float));
      printf("%-26s %10zu %9.3f %9.3f %7.1f %7.2f\n", kernel.name, n, median(ours) / static_cast<double>(n) * 1e9,
             median(limits) / static_cast<double>(n) * 1e9, bytes * static_cast<double>(n) / median(ours) / 1e9,
             median(ratios));
    }
    for (float* block : memory) free(block);
  }
  return 0;
}
