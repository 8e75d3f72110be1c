// What Pass and Span mean, in numbers that can be followed by hand: SGD at lr 0.5 on param 8, gradient 4.
#include <math.h>
#include <string.h>

#include "../dispatch.h"
#include "check.h"

namespace {
constexpr Pass kPlain = {1, INFINITY, 0, 1, 0, 0};

struct Result {
  float param, grad, ema;
};

// 21 elements: more than the widest register holds and no multiple of it, so that loop and tail must agree.
Result sgd(const KernelSet& set, const Pass& pass, float gradient = 4, bool hasEma = false, bool zeroGrad = false) {
  constexpr size_t kLength = 21;
  float param[kLength], grad[kLength], ema[kLength];
  for (size_t i = 0; i < kLength; ++i) param[i] = 8, grad[i] = gradient, ema[i] = 2;
  const float lr = 0.5f;
  for (size_t k = 0; k < set.count; ++k) {
    if (strcmp(set.kernels[k].name, "sgd") != 0) continue;
    set.kernels[k].run(pass, &lr, {param, grad, hasEma ? ema : nullptr, {}, kLength, zeroGrad});
  }
  for (size_t i = 1; i < kLength; ++i) {
    CHECK(memcmp(&param[i], &param[0], sizeof *param) == 0);
    CHECK(memcmp(&grad[i], &grad[0], sizeof *grad) == 0);
    CHECK(memcmp(&ema[i], &ema[0], sizeof *ema) == 0);
  }
  return {param[0], grad[0], ema[0]};
}

template <class F>
void forEachSet(F check) {
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  for (size_t s = 0; s < count; ++s) check(*sets[s]);
}
}  // namespace

TEST("the plain step") {
  forEachSet([](const KernelSet& set) {
    CHECK(sgd(set, kPlain).param == 6);
    CHECK(sgd(set, kPlain).grad == 4);
    CHECK(sgd(set, kPlain).ema == 2);
  });
}

TEST("gradScale multiplies the gradient before all else, clipValue clamps it, l2 comes after the clamp") {
  forEachSet([](const KernelSet& set) {
    CHECK(sgd(set, {-1, INFINITY, 0, 1, 0, 0}).param == 10);
    CHECK(sgd(set, {1, 1, 0, 1, 0, 0}).param == 7.5f);
    CHECK(sgd(set, {-1, 1, 0, 1, 0, 0}).param == 8.5f);
    CHECK(sgd(set, {0.25f, 2, 0, 1, 0, 0}).param == 7.5f);
    CHECK(sgd(set, {1, INFINITY, 0.5f, 1, 0, 0}).param == 4);
    CHECK(sgd(set, {1, 1, 0.5f, 1, 0, 0}).param == 5.5f);
  });
}

TEST("keep shrinks the param and leaves l2 the old one") {
  forEachSet([](const KernelSet& set) {
    CHECK(sgd(set, {1, INFINITY, 0, 0.5f, 0, 0}).param == 2);
    CHECK(sgd(set, {1, INFINITY, 0.5f, 0.5f, 0, 0}).param == 0);
  });
}

TEST("the ema follows the updated param, and starts at the param before it") {
  forEachSet([](const KernelSet& set) {
    CHECK(sgd(set, {1, INFINITY, 0, 1, 0.25f, 0}, 4, true).ema == 3);
    CHECK(sgd(set, {1, INFINITY, 0, 1, 0.25f, 1}, 4, true).ema == 7.5f);
    CHECK(sgd(set, {1, INFINITY, 0, 1, 0.25f, 1}, 4, true).param == 6);
  });
}

TEST("zeroGrad zeroes the gradient after its use") {
  forEachSet([](const KernelSet& set) {
    const Result result = sgd(set, kPlain, 4, false, true);
    CHECK(result.param == 6);
    CHECK(result.grad == 0 && !signbit(result.grad));
  });
}

TEST("what is unused takes no part: no 0 * infinity, and NaN passes the clamp") {
  forEachSet([](const KernelSet& set) {
    CHECK(sgd(set, kPlain, INFINITY).param == -INFINITY);
    CHECK(sgd(set, {1, 1, 0, 1, 0, 0}, -INFINITY).param == 8.5f);
    CHECK(isnan(sgd(set, {1, 1, 0, 1, 0, 0}, NAN).param));
  });
}
