// What Pass and Span mean, in numbers that can be followed by hand: SGD at lr 0.5 on param 8, gradient 4.
#include <math.h>
#include <string.h>

#include "check.h"
#include "sets.h"

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
  kernelNamed(set, "sgd")->run(pass, &lr, {param, grad, hasEma ? ema : nullptr, {}, kLength, zeroGrad});
  for (size_t i = 1; i < kLength; ++i) {
    CHECK(memcmp(&param[i], &param[0], sizeof *param) == 0);
    CHECK(memcmp(&grad[i], &grad[0], sizeof *grad) == 0);
    CHECK(memcmp(&ema[i], &ema[0], sizeof *ema) == 0);
  }
  return {param[0], grad[0], ema[0]};
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

namespace {
/// Adagrad with one number a row, at lr 2.5 and eps 0, on a row of 21: params 8, a sum of 9.
struct RowResult {
  float param, sum, grad, ema;
};

RowResult rowWise(const KernelSet& set, const Pass& pass, bool hasEma = false, bool zeroGrad = false) {
  constexpr size_t kLength = 21;
  float param[kLength], grad[kLength], ema[kLength], sum[] = {9, -1};
  for (size_t i = 0; i < kLength; ++i) param[i] = 8, grad[i] = 4, ema[i] = 2;
  const float constants[] = {2.5f, 0};
  const Span span = {param, grad, hasEma ? ema : nullptr, {sum}, kLength, zeroGrad};
  kernelNamed(set, "adagrad-row-wise")->run(pass, constants, span);
  for (size_t i = 1; i < kLength; ++i) {
    CHECK(param[i] == param[0] && grad[i] == grad[0] && ema[i] == ema[0]);
  }
  CHECK(sum[1] == -1);
  return {param[0], sum[0], grad[0], ema[0]};
}
}  // namespace

TEST("per row: the mean square of the gradient goes into the row's number before the update") {
  forEachSet([](const KernelSet& set) {
    const RowResult result = rowWise(set, kPlain);
    CHECK(result.sum == 25 && result.param == 6 && result.grad == 4 && result.ema == 2);
    // Of different elements, the mean: (9 + 16) / 2.
    float param[] = {0, 0}, grad[] = {3, -4}, sum = 0;
    const float constants[] = {1, 0};
    kernelNamed(set, "adagrad-row-wise")->run(kPlain, constants, {param, grad, nullptr, {&sum}, 2, false});
    CHECK(sum == 12.5f);
    CHECK(param[0] == -3 / sqrtf(12.5f) && param[1] == 4 / sqrtf(12.5f));
  });
}

TEST("per row: what is measured is the gradient that the formula sees") {
  forEachSet([](const KernelSet& set) {
    // Scaled, clamped, with decay of the old param: g = -4; 1; 4 + 0.5 * 8 = 8 with a sum of 9 + 64.
    CHECK(rowWise(set, {-1, INFINITY, 0, 1, 0, 0}).sum == 25);
    CHECK(rowWise(set, {-1, INFINITY, 0, 1, 0, 0}).param == 10);
    CHECK(rowWise(set, {1, 1, 0, 1, 0, 0}).sum == 10);
    CHECK(rowWise(set, {1, INFINITY, 0.5f, 1, 0, 0}).sum == 73);
    CHECK(rowWise(set, {1, INFINITY, 0, 0.5f, 0, 0}).sum == 25);
    CHECK(rowWise(set, {1, INFINITY, 0, 0.5f, 0, 0}).param == 2);
  });
}

TEST("per row: ema and zeroGrad as in every kernel, in one pass with the measuring") {
  forEachSet([](const KernelSet& set) {
    const RowResult follows = rowWise(set, {1, INFINITY, 0, 1, 0.25f, 0}, true, true);
    CHECK(follows.param == 6 && follows.sum == 25 && follows.ema == 3 && follows.grad == 0);
    CHECK(rowWise(set, {1, INFINITY, 0, 1, 0.25f, 1}, true).ema == 7.5f);
  });
}
