// bfloat16: every number, and the nearest one of every float that lies between two, with every instruction set.
#include <math.h>
#include <string.h>

#include <vector>

#include "buffer.h"
#include "check.h"
#include "sets.h"

namespace {
constexpr size_t kCount = 1 << 16;

uint32_t bitsOf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

std::vector<uint16_t> allBits() {
  std::vector<uint16_t> all(kCount);
  for (size_t i = 0; i < kCount; ++i) all[i] = static_cast<uint16_t>(i);
  return all;
}
}  // namespace

TEST("bfloat16: expand is exact, and compress gives the same bits back") {
  forEachSet([](const KernelSet& set) {
    std::vector<uint16_t> all = allBits(), rounded(kCount);
    Buffer x(kCount), rest(kCount), zeros(kCount);
    for (size_t i = 0; i < kCount; ++i) zeros.set(i, 0.0f);
    set.bfloat16.widen(all.data(), x.data(), kCount);
    for (size_t i = 0; i < kCount; ++i) CHECK_EQUAL(x.bits(i), static_cast<uint32_t>(i) << 16);
    set.bfloat16.compress(x.data(), zeros.data(), 1.0f, rounded.data(), rest.data(), kCount);
    for (size_t i = 0; i < kCount; ++i) {
      const bool isNaN = (i & 0x7fff) > 0x7f80;
      CHECK_EQUAL(rounded[i], isNaN ? 0x7fc0 : i == 0x8000 ? 0 : i);  // -0 + 0 is 0
      CHECK_EQUAL(rest.bits(i), 0u);
    }
    CHECK(x.guarded() && rest.guarded());
  });
}

TEST("bfloat16: the nearest number, ties to even, and what is lost") {
  forEachSet([](const KernelSet& set) {
    // Between a number and the next: a quarter, just under a half, a half, just over, three quarters.
    for (const uint32_t part : {0x4000u, 0x7fffu, 0x8000u, 0x8001u, 0xc000u}) {
      std::vector<uint16_t> rounded(kCount);
      Buffer x(kCount), rest(kCount), zeros(kCount);
      for (size_t i = 0; i < kCount; ++i) {
        const uint32_t bits = (static_cast<uint32_t>(i) << 16) | part;
        memcpy(x.data() + i, &bits, sizeof bits);
        zeros.set(i, 0.0f);
      }
      set.bfloat16.compress(x.data(), zeros.data(), 1.0f, rounded.data(), rest.data(), kCount);
      for (size_t i = 0; i < kCount; ++i) {
        if ((i & 0x7f80) == 0x7f80) {  // NaN
          CHECK_EQUAL(rounded[i], 0x7fc0);
          continue;
        }
        const bool isUp = part > 0x8000 || (part == 0x8000 && i % 2 == 1);
        CHECK_EQUAL(rounded[i], i + (isUp ? 1 : 0));
        float near;
        const uint32_t bits = static_cast<uint32_t>(rounded[i]) << 16;
        memcpy(&near, &bits, sizeof near);
        const float lost = isinf(near) ? 0.0f : static_cast<float>(static_cast<double>(x.data()[i]) - near);
        CHECK_EQUAL(rest.bits(i), bitsOf(lost));
      }
      CHECK(rest.guarded());
    }
  });
}
