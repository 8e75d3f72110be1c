#pragma once

#ifdef _MSC_VER
#define ALWAYS_INLINE __forceinline
#define INLINE_LAMBDA
#define NEVER_INLINE __declspec(noinline)
#define UNLIKELY(condition) (condition)
#else
// Without it, GCC does not inline the body of kernels with three state buffers, which costs a third of the time in
// cache.
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))  // behind the parameters
#define NEVER_INLINE __attribute__((noinline))
#define UNLIKELY(condition) __builtin_expect(condition, 0)
#endif
