// The options of Pass and Span, in numbers that can be checked by hand: SGD with lr 0.5 on param 8 and gradient 4.
#include <math.h>
#include <string.h>

#include "check.h"
#include "sets.h"

namespace {
constexpr Pass kPlain = {1, INFINITY, 0, 1, 0, 0};

struct Result {
  float param, grad, ema;
};

// 21 elements: more than the widest register, and no multiple of it, so that both the loop and the tail run.
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

TEST("pass: the plain step") {
  forEachSet([](const KernelSet& set) {
    CHECK_EQUAL(sgd(set, kPlain).param, 6);
    CHECK_EQUAL(sgd(set, kPlain).grad, 4);
    CHECK_EQUAL(sgd(set, kPlain).ema, 2);
  });
}

TEST("pass: gradScale is applied first, then clipValue, then l2") {
  forEachSet([](const KernelSet& set) {
    CHECK_EQUAL(sgd(set, {-1, INFINITY, 0, 1, 0, 0}).param, 10);
    CHECK_EQUAL(sgd(set, {1, 1, 0, 1, 0, 0}).param, 7.5f);
    CHECK_EQUAL(sgd(set, {-1, 1, 0, 1, 0, 0}).param, 8.5f);
    CHECK_EQUAL(sgd(set, {0.25f, 2, 0, 1, 0, 0}).param, 7.5f);
    CHECK_EQUAL(sgd(set, {1, INFINITY, 0.5f, 1, 0, 0}).param, 4);
    CHECK_EQUAL(sgd(set, {1, 1, 0.5f, 1, 0, 0}).param, 5.5f);
  });
}

TEST("pass: decayFactor shrinks the param; l2 uses the param before that") {
  forEachSet([](const KernelSet& set) {
    CHECK_EQUAL(sgd(set, {1, INFINITY, 0, 0.5f, 0, 0}).param, 2);
    CHECK_EQUAL(sgd(set, {1, INFINITY, 0.5f, 0.5f, 0, 0}).param, 0);
  });
}

TEST("pass: the ema follows the updated param, and starts at the param before the update") {
  forEachSet([](const KernelSet& set) {
    CHECK_EQUAL(sgd(set, {1, INFINITY, 0, 1, 0.25f, 0}, 4, true).ema, 3);
    CHECK_EQUAL(sgd(set, {1, INFINITY, 0, 1, 0.25f, 1}, 4, true).ema, 7.5f);
    CHECK_EQUAL(sgd(set, {1, INFINITY, 0, 1, 0.25f, 1}, 4, true).param, 6);
  });
}

TEST("pass: zeroGrad sets the gradient to 0 after its use") {
  forEachSet([](const KernelSet& set) {
    const Result result = sgd(set, kPlain, 4, false, true);
    CHECK_EQUAL(result.param, 6);
    CHECK_EQUAL(result.grad, 0);
    CHECK(!signbit(result.grad));
  });
}

TEST("pass: unused options compute nothing, such as 0 * infinity; NaN passes clipValue") {
  forEachSet([](const KernelSet& set) {
    CHECK_EQUAL(sgd(set, kPlain, INFINITY).param, -INFINITY);
    CHECK_EQUAL(sgd(set, {1, 1, 0, 1, 0, 0}, -INFINITY).param, 8.5f);
    CHECK(isnan(sgd(set, {1, 1, 0, 1, 0, 0}, NAN).param));
  });
}

namespace {
/// Row-wise Adagrad with lr 2.5 and eps 0 on a matrix row of 21: params 8, sum 9.
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
    CHECK_EQUAL(param[i], param[0]);
    CHECK_EQUAL(grad[i], grad[0]);
    CHECK_EQUAL(ema[i], ema[0]);
  }
  CHECK_EQUAL(sum[1], -1);
  return {param[0], sum[0], grad[0], ema[0]};
}
}  // namespace

TEST("pass: a per-row kernel adds the mean square of the gradient to its state before the update") {
  forEachSet([](const KernelSet& set) {
    const RowResult result = rowWise(set, kPlain);
    CHECK_EQUAL(result.sum, 25);
    CHECK_EQUAL(result.param, 6);
    CHECK_EQUAL(result.grad, 4);
    CHECK_EQUAL(result.ema, 2);
    // The mean of different elements: (9 + 16) / 2.
    float param[] = {0, 0}, grad[] = {3, -4}, sum = 0;
    const float constants[] = {1, 0};
    kernelNamed(set, "adagrad-row-wise")->run(kPlain, constants, {param, grad, nullptr, {&sum}, 2, false});
    CHECK_EQUAL(sum, 12.5f);
    CHECK_EQUAL(param[0], -3 / sqrtf(12.5f));
    CHECK_EQUAL(param[1], 4 / sqrtf(12.5f));
  });
}

TEST("pass: a per-row kernel measures the gradient after the prologue") {
  forEachSet([](const KernelSet& set) {
    // Scaled: g = -4. Clipped: g = 1. With l2 of the param before the update: g = 4 + 0.5 * 8 = 8 and sum = 9 + 64.
    CHECK_EQUAL(rowWise(set, {-1, INFINITY, 0, 1, 0, 0}).sum, 25);
    CHECK_EQUAL(rowWise(set, {-1, INFINITY, 0, 1, 0, 0}).param, 10);
    CHECK_EQUAL(rowWise(set, {1, 1, 0, 1, 0, 0}).sum, 10);
    CHECK_EQUAL(rowWise(set, {1, INFINITY, 0.5f, 1, 0, 0}).sum, 73);
    CHECK_EQUAL(rowWise(set, {1, INFINITY, 0, 0.5f, 0, 0}).sum, 25);
    CHECK_EQUAL(rowWise(set, {1, INFINITY, 0, 0.5f, 0, 0}).param, 2);
  });
}

TEST("pass: a per-row kernel applies ema and zeroGrad like every other kernel") {
  forEachSet([](const KernelSet& set) {
    const RowResult follows = rowWise(set, {1, INFINITY, 0, 1, 0.25f, 0}, true, true);
    CHECK_EQUAL(follows.param, 6);
    CHECK_EQUAL(follows.sum, 25);
    CHECK_EQUAL(follows.ema, 3);
    CHECK_EQUAL(follows.grad, 0);
    CHECK_EQUAL(rowWise(set, {1, INFINITY, 0, 1, 0.25f, 1}, true).ema, 7.5f);
  });
}
