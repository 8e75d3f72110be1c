// The proof of one instruction set: ISA and its simd header come before.
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../kernel.h"
#include "../../kernels/loop.h"
#include "../../kernels/bfloat16.h"
#include "../../kernels/root.h"
#include "proof.h"

namespace ISA {
/// Whether two vectors have the same bits, or are both NaN.
static bool isSame(Vec a, Vec b) {
  float x[Vec::kLanes], y[Vec::kLanes];
  a.store(x);
  b.store(y);
  if (memcmp(x, y, sizeof x) == 0) return true;
  for (size_t i = 0; i < Vec::kLanes; ++i) {
    if (bitsOf(x[i]) != bitsOf(y[i]) && !(isnan(x[i]) && isnan(y[i]))) return false;
  }
  return true;
}

/// The floats with the bits first, first + step, ... in the lanes.
static Vec lanesFrom(uint64_t first, uint64_t step) {
  float lanes[Vec::kLanes];
  for (size_t i = 0; i < Vec::kLanes; ++i) lanes[i] = floatOf(static_cast<uint32_t>(first + i * step));
  return Vec::load(lanes);
}

template <bool kIsRough>
static uint64_t refined(const Cases& radicands, uint64_t* count) {
  constexpr double kError = kIsRough ? 1.5 * 0x1p-12 : 0x1p-14;
  uint64_t wrong = 0;
  *count = 0;
  for (uint64_t bits = radicands.first; bits < radicands.end; bits += radicands.step) {
    const float radicand = floatOf(static_cast<uint32_t>(bits));
    const double inverse = 1 / ::sqrt(static_cast<double>(radicand));
    const uint32_t first = bitsOf(static_cast<float>((1 - kError) * inverse)) - 1;
    const uint32_t last = bitsOf(static_cast<float>((1 + kError) * inverse)) + 1;
    const Vec x(radicand), expected = sqrt(x);
    // The last vector goes on behind `last`.
    Bits approximation(lanesFrom(first, 1));
    for (uint32_t a = first; a <= last; a += Vec::kLanes) {
      const Vec root = refinedRoot<kIsRough>(x, static_cast<Vec>(approximation));
      if (!isSame(root, expected)) {
        if (wrong++ == 0) printf("the root of %a from %a or one of the next approximations\n", radicand, floatOf(a));
      }
      approximation = approximation + Bits(static_cast<uint32_t>(Vec::kLanes));
    }
    *count += last - first + 1;
  }
  return wrong;
}

static uint64_t refinedOf(bool isRough, const Cases& radicands, uint64_t* count) {
  return isRough ? refined<true>(radicands, count) : refined<false>(radicands, count);
}

static uint64_t called(const Cases& floats) {
  uint64_t wrong = 0;
  for (uint64_t bits = floats.first; bits < floats.end; bits += Vec::kLanes * floats.step) {
    const Vec x = lanesFrom(bits, floats.step);
    if (isSame(sqrt(FmaVec(x)), sqrt(x))) continue;
    if (wrong++ == 0) printf("the root of %a or one of the next floats\n", floatOf(static_cast<uint32_t>(bits)));
  }
  return wrong;
}
}  // namespace ISA
