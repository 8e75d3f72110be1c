#include "dispatch.h"

#if defined(__x86_64__) || defined(_M_X64)
#define SCHUSS_X64
#elif defined(__aarch64__) || defined(_M_ARM64)
#define SCHUSS_ARM64
#endif

namespace scalar {
extern const KernelSet kernelSet;
}
#ifdef SCHUSS_X64
namespace sse2 {
extern const KernelSet kernelSet;
}
namespace avx2 {
extern const KernelSet kernelSet;
}
namespace avx512 {
extern const KernelSet kernelSet;
}
#endif
#ifdef SCHUSS_ARM64
namespace neon {
extern const KernelSet kernelSet;
}
#endif

#if defined(SCHUSS_X64) && defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
namespace {
// Bit `bit` of cpuid leaf 7 tells whether the CPU has the instructions, as bit 12 of leaf 1 does for FMA; xgetbv,
// whether the system saves the registers.
bool supports(int bit, unsigned long long registers) {
  constexpr int kFma = 1 << 12, kXgetbv = 1 << 27;
  int leaf[4];
  __cpuid(leaf, 0);
  if (leaf[0] < 7) return false;
  __cpuid(leaf, 1);
  if ((leaf[2] & kFma) == 0 || (leaf[2] & kXgetbv) == 0 || (_xgetbv(0) & registers) != registers) return false;
  __cpuidex(leaf, 7, 0);
  return (leaf[1] & (1 << bit)) != 0;
}
bool hasAvx2() { return supports(5, 0x6); }
bool hasAvx512() { return supports(16, 0xe6); }
}  // namespace
#elif defined(SCHUSS_X64)
namespace {
bool hasAvx2() { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; }
bool hasAvx512() { return __builtin_cpu_supports("avx512f") != 0; }
}  // namespace
#endif

size_t available(const KernelSet** out, size_t capacity) {
  struct Candidate {
    const KernelSet* set;
    bool supported;
  };
  const Candidate candidates[] = {
#ifdef SCHUSS_X64
      {&avx512::kernelSet, hasAvx512()}, {&avx2::kernelSet, hasAvx2()}, {&sse2::kernelSet, true},
#endif
#ifdef SCHUSS_ARM64
      {&neon::kernelSet, true},
#endif
      {&scalar::kernelSet, true},
  };
  size_t count = 0;
  for (const Candidate& candidate : candidates) {
    if (candidate.supported && count < capacity) out[count++] = candidate.set;
  }
  return count;
}
