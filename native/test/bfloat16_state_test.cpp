// State in bfloat16: the definition of its rounding, to the bit, with every kernel and every instruction set.
#include <math.h>
#include <string.h>

#include <string>
#include <vector>

#include "buffer.h"
#include "check.h"
#include "random.h"
#include "sets.h"

namespace {
// The definition of the rounding, in float64: |x| in units of bfloat16, and a chance in [0, 1).
uint16_t defined(float x, uint32_t noise) {
  if (isnan(x)) return 0x7fc0;
  uint16_t sign = signbit(x) ? 0x8000 : 0;
  if (isinf(x)) return static_cast<uint16_t>(sign | 0x7f80);
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t below = magnitude / 65536, rest = magnitude % 65536;
  const uint32_t rounded =
      static_cast<double>(rest) / 65536 + static_cast<double>(noise) / 65536 >= 1 ? below + 1 : below;
  return static_cast<uint16_t>(sign | (rounded < 0x7f7f ? rounded : 0x7f7f));
}

uint32_t murmur(uint64_t x) {
  x ^= x >> 16;
  x = x * 0x85ebca6bu % 4294967296u;
  x ^= x >> 13;
  x = x * 0xc2b2ae35u % 4294967296u;
  return static_cast<uint32_t>(x ^ x >> 16);
}
/// The 16 bits of chance for state `s` of an element.
uint32_t noiseOf(size_t element, uint32_t update, size_t s) {
  const uint32_t seed = murmur(8 * update + s / 2);
  const uint32_t hash = murmur(static_cast<uint32_t>(element * 0x9e3779b1u) + seed);
  return s % 2 == 1 ? hash >> 16 : hash & 0xffff;
}

float widened(uint16_t half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/// A tensor with its state in bfloat16, and the same in float32.
struct Both {
  Both(const Kernel& kernel, size_t length, Values values, Random* random)
      : count(kernel.stateCount), param(length), grad(length), ema(length), states(count, Buffer(length)) {
    for (Buffer* buffer : {&param, &grad, &ema}) random->fill(buffer, values);
    for (size_t s = 0; s < count; ++s) {
      random->fill(&states[s], values == Values::kAny ? values : Values::kPositive);
      std::vector<uint16_t> ofState(length + 1, 77);
      for (size_t i = 0; i < length; ++i) {
        ofState[i] = static_cast<uint16_t>(states[s].bits(i) >> 16);
        states[s].set(i, widened(ofState[i]));
      }
      halves.push_back(ofState);
    }
  }

  Span span(bool hasEma, bool zeroGrad, bool isHalf) {
    Span span = {param.data(), grad.data(), hasEma ? ema.data() : nullptr, {}, param.length(), zeroGrad};
    for (size_t s = 0; s < count; ++s) {
      span.state[s] = isHalf ? reinterpret_cast<float*>(halves[s].data()) : states[s].data();
    }
    return span;
  }

  size_t count;
  Buffer param, grad, ema;
  std::vector<Buffer> states;
  std::vector<std::vector<uint16_t>> halves;
};

/// Compares a walk over halves with one over float32, whose state is then rounded by the definition.
bool isDefined(const Kernel& kernel, const Pass& pass, bool isWide, Both start, size_t element) {
  float constants[kMaxConstants];
  for (size_t k = 0; k < kMaxConstants; ++k) constants[k] = 0.3f + 0.6f / static_cast<float>(k + 1);
  Both expected = start;
  kernel.run(pass, constants, expected.span(isWide, isWide, false));
  kernel.runHalves(pass, constants, start.span(isWide, isWide, true), element);
  const size_t length = start.param.length();
  bool isSame = start.param.differs(expected.param) == length && start.grad.differs(expected.grad) == length &&
                start.ema.differs(expected.ema) == length && start.param.guarded() && start.grad.guarded() &&
                start.ema.guarded();
  for (size_t s = 0; s < start.count; ++s) {
    for (size_t i = 0; i < length; ++i) {
      const uint32_t noise = noiseOf(element + i, static_cast<uint32_t>(pass.update), s);
      isSame = isSame && start.halves[s][i] == defined(expected.states[s].data()[i], noise);
    }
    isSame = isSame && start.halves[s][length] == 77;
  }
  return isSame;
}
}  // namespace

TEST("bfloat16: each kernel rounds the state of its walk by the definition, for ordinary and for all numbers") {
  const float inf = static_cast<float>(INFINITY);
  const Pass plain = {1, inf, 0, 1, 0, 0, 1}, wide = {-0.37f, 0.5f, 0.1f, 0.9f, 0.01f, 0, 16777215};
  Random random(5);
  for (Values values : {Values::kOrdinary, Values::kAny}) {
    for (size_t length : {0, 16, 32, 336}) {
      forEachSet([&](const KernelSet& set) {
        size_t count = 0;
        for (size_t k = 0; k < set.count; ++k) {
          const Kernel& kernel = set.kernels[k];
          if (kernel.runHalves == nullptr) continue;
          ++count;
          for (size_t element : {size_t{0}, size_t{3}, size_t{4294967290}}) {
            const Both start(kernel, length, values, &random);
            if (isDefined(kernel, plain, false, start, element) && isDefined(kernel, wide, true, start, element))
              continue;
            fail(__FILE__, __LINE__, std::string(set.isa) + " " + kernel.name + ": not the definition");
          }
        }
        CHECK(count > 25);
      });
    }
  }
}

TEST("bfloat16: a kernel has such state if it is element-wise") {
  forEachSet([](const KernelSet& set) {
    CHECK(kernelNamed(set, "adam")->runHalves != nullptr);
    for (const char* name : {"sgd", "adam-row-wise", "lamb", "muon", "sm3-factored", "novograd"}) {
      CHECK(kernelNamed(set, name)->runHalves == nullptr);
    }
  });
}

TEST("bfloat16: rounding of special numbers") {
  const float special[kHalfGroup] = {0.0f,      -0.0f, 1e-45f, 3.4028235e38f, -3.4028235e38f, INFINITY,
                                     -INFINITY, NAN,   -NAN,   1.0f,          3.3961776e38f,  -3.3895314e38f};
  forEachSet([&](const KernelSet& set) {
    for (uint32_t update : {1u, 2u, 3u}) {
      const Pass pass = {1, INFINITY, 0, 1, 0, 0, static_cast<float>(update)};
      // velocity = 0 * -0 - -1 * grad: the gradient, with the sign of a zero.
      const float constants[] = {-1, 0};
      float param[kHalfGroup] = {}, grad[kHalfGroup];
      uint16_t velocity[kHalfGroup];
      memcpy(grad, special, sizeof grad);
      for (uint16_t& half : velocity) half = 0x8000;
      const Span span = {param, grad, nullptr, {reinterpret_cast<float*>(velocity)}, kHalfGroup, false};
      kernelNamed(set, "sgd-velocity")->runHalves(pass, constants, span, 9);
      for (size_t i = 0; i < kHalfGroup; ++i) CHECK_EQUAL(velocity[i], defined(special[i], noiseOf(9 + i, update, 0)));
    }
  });
}

TEST("bfloat16: widening is exact") {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  forEachSet([&](const KernelSet& set) {
    Buffer wide(all.size());
    set.bfloat16.widen(all.data(), wide.data(), all.size());
    bool isSame = wide.guarded();
    for (size_t i = 0; i < all.size(); ++i) isSame = isSame && wide.bits(i) == static_cast<uint32_t>(i) << 16;
    CHECK(isSame);
  });
}
