#pragma once
// Memory that a walk asks for before it gets there. No hardware predicts the next row of a table, which may be
// anywhere. And some CPUs read several arrays faster if a walk says early where it will be.
#include <stdint.h>
namespace ISA {
/// How many rows ahead of the current one memory is prefetched.
constexpr size_t kRowsAhead = 16;

/// Floats of a cache line.
constexpr size_t kLine = 64 / sizeof(float);

enum Access { kRead, kWrite };

#ifdef __GNUC__
template <Access access>
ALWAYS_INLINE void prefetch(const float* p) {
  __builtin_prefetch(p, access);
}
/// Whether walks over whole arrays may prefetch. CPUs with short vectors are no faster with it.
constexpr bool kCanPrefetch = Vec::kLanes >= 8;
#else
template <Access access>
ALWAYS_INLINE void prefetch(const float*) {}
constexpr bool kCanPrefetch = false;
#endif

/// Prefetches all cache lines of a row. A row that begins within a line has one more.
template <Access access>
ALWAYS_INLINE void prefetchRow(const float* p, size_t length) {
  for (size_t i = 0; i < length; i += kLine) prefetch<access>(p + i);
  if (reinterpret_cast<uintptr_t>(p) % 64 != 0) prefetch<access>(p + length - 1);
}
}  // namespace ISA
