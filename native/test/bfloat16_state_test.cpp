// The conversions of state in bfloat16: the definition, to the bit, with every instruction set.
#include <math.h>
#include <string.h>

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
}  // namespace

TEST("bfloat16: the hash of each element is the one of its index and the seed") {
  for (size_t length : {0, 1, 3, 16, 17, 1003}) {
    for (uint32_t element : {0u, 5u, 4294967290u}) {
      std::vector<uint32_t> hashes(length + 1, 77);
      forEachSet([&](const KernelSet& set) {
        CHECK_EQUAL(set.bfloat16.hash(element), murmur(element));
        set.bfloat16.hashes(hashes.data(), length, element, 12345);
        for (size_t i = 0; i < length; ++i) {
          CHECK_EQUAL(hashes[i], murmur((static_cast<uint32_t>(element + i) * 0x9e3779b1u + 12345u)));
        }
        CHECK_EQUAL(hashes[length], 77u);
      });
    }
  }
}

TEST("bfloat16: rounding and widening are the definition, for ordinary and for all numbers") {
  for (Values values : {Values::kOrdinary, Values::kAny}) {
    for (size_t length : {0, 1, 7, 8, 16, 31, 33, 1024}) {
      Buffer x(length);
      Random(static_cast<uint32_t>(length)).fill(&x, values);
      std::vector<uint32_t> hashes(length);
      for (size_t i = 0; i < length; ++i) hashes[i] = murmur(i + length);
      forEachSet([&](const KernelSet& set) {
        for (bool isUpper : {false, true}) {
          std::vector<uint16_t> halves(length + 1, 77);
          set.bfloat16.round(x.data(), hashes.data(), isUpper, halves.data(), length);
          bool isSame = halves[length] == 77;
          for (size_t i = 0; i < length; ++i) {
            isSame = isSame && halves[i] == defined(x.data()[i], isUpper ? hashes[i] >> 16 : hashes[i] & 0xffff);
          }
          CHECK(isSame);
          Buffer wide(length);
          set.bfloat16.widen(halves.data(), wide.data(), length);
          for (size_t i = 0; i < length; ++i) {
            uint32_t bits;
            memcpy(&bits, wide.data() + i, sizeof bits);
            isSame = isSame && bits == static_cast<uint32_t>(halves[i]) << 16;
          }
          CHECK(isSame && wide.guarded());
        }
      });
    }
  }
}

TEST("bfloat16: special numbers") {
  const float special[] = {0.0f, -0.0f, 1e-45f, 3.4028235e38f, -3.4028235e38f, INFINITY, -INFINITY, NAN, -NAN, 1.0f};
  constexpr size_t kCount = sizeof special / sizeof *special;
  const std::vector<uint32_t> most(kCount, 0xffffffffu), none(kCount, 0);
  forEachSet([&](const KernelSet& set) {
    uint16_t up[kCount], down[kCount];
    set.bfloat16.round(special, most.data(), true, up, kCount);
    set.bfloat16.round(special, none.data(), true, down, kCount);
    const uint16_t expectedUp[] = {0, 0x8000, 1, 0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7fc0, 0x7fc0, 0x3f80};
    const uint16_t expectedDown[] = {0, 0x8000, 0, 0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7fc0, 0x7fc0, 0x3f80};
    CHECK(memcmp(up, expectedUp, sizeof up) == 0);
    CHECK(memcmp(down, expectedDown, sizeof down) == 0);
  });
}
