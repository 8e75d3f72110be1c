#pragma once
// The walk over state in bfloat16, the upper half of a float32. It widens the state, and rounds it, in registers.
namespace ISA {
template <int n>
ALWAYS_INLINE uint32_t shiftRight(uint32_t x) {
  return x >> n;
}

/// All but the last line of the finisher of MurmurHash3.
template <class T>
ALWAYS_INLINE T mixed(T x) {
  x = (x ^ shiftRight<16>(x)) * T(0x85ebca6bu);
  return (x ^ shiftRight<13>(x)) * T(0xc2b2ae35u);
}

/// The finisher of MurmurHash3: each bit of the result depends on all bits of x.
ALWAYS_INLINE uint32_t hashOf(uint32_t x) {
  x = mixed(x);
  return x ^ shiftRight<16>(x);
}

/// The upper or the lower 16 bits of the hash.
template <bool kUpper>
ALWAYS_INLINE Bits noiseOf(Bits x) {
  x = mixed(x);
  return kUpper ? shiftRight<16>(x) : (x ^ shiftRight<16>(x)) & Bits(0xffffu);
}

/// The seed of the rounding of two state arrays in one update of their param.
ALWAYS_INLINE uint32_t seedOf(const Pass& pass, size_t pair) {
  return hashOf(static_cast<uint32_t>(8 * static_cast<size_t>(pass.update) + pair));
}

/// Rounds any number. A finite one stays finite. NaN becomes the one quiet NaN.
inline uint16_t roundAny(uint32_t bits, uint32_t noise) {
  constexpr uint32_t kInfinity = 0x7f800000, kLargest = 0x7f7fffff;
  const uint32_t magnitude = bits & 0x7fffffffu, sum = magnitude + noise;
  if (magnitude > kInfinity) return 0x7fc0;
  const uint32_t rounded = magnitude == kInfinity ? kInfinity : sum < kLargest ? sum : kLargest;
  return static_cast<uint16_t>((rounded | (bits & 0x80000000u)) >> 16);
}

NEVER_INLINE inline void roundVector(const Bits& values, const Bits& noise, uint16_t* to) {
  uint32_t bits[Vec::kLanes], noises[Vec::kLanes];
  memcpy(bits, &values, sizeof bits);
  memcpy(noises, &noise, sizeof noises);
  for (size_t i = 0; i < Vec::kLanes; ++i) to[i] = roundAny(bits[i], noises[i]);
}

/// A state array in bfloat16, from element `i` on.
ALWAYS_INLINE uint16_t* halvesOf(const Span& span, size_t s, size_t i) {
  return reinterpret_cast<uint16_t*>(span.state[s]) + i;
}

/// Updates whole vectors, with a prologue that only scales. `element` is the index of the first element in the whole
/// param. The magnitude of a state is rounded up if the 16 bits that are cut off and 16 bits of a hash add to 2^16 or
/// more: with the probability that makes the mean exact. Two arrays share the hashes.
template <class K, size_t... S>
ALWAYS_INLINE void walkHalves(const Pass pass, const K kernel, const Span span, uint32_t element, Indices<S...>) {
  constexpr uint32_t kStride = 0x9e3779b1u;
  // From here on the carry of a number reaches infinity.
  const Vec limit = static_cast<Vec>(Bits(0x7f7f0000u));
  // Volatile, because GCC 12 would make the vector anew in each turn of the loop.
  const volatile uint32_t stepOfAll = kStride * static_cast<uint32_t>(Vec::kLanes);
  const Bits step(stepOfAll);
  const Bits first = (Bits::lanes() + Bits(element)) * Bits(kStride);
  // What is hashed for each pair of arrays.
  Bits places[] = {first + Bits(seedOf(pass, S / 2))...};
  for (size_t i = 0; i < span.length; i += Vec::kLanes) {
    const Vec before = Vec::load(span.param + i);
    const Vec grad = prologue(pass, 0, before, Vec::load(span.grad + i));
    Vec values[] = {static_cast<Vec>(Bits::loadUpper(halvesOf(span, S, i)))...};
    Vec param = Vec(pass.decayFactor) * before;
    kernel.update(param, grad, values[S]...);
    param.store(span.param + i);
    const Bits noise[] = {noiseOf<S % 2 == 1>(places[S])...};
    if (isBelow((abs(values[S]) + ...), limit)) {
      ((Bits(values[S]) + noise[S]).storeUpper(halvesOf(span, S, i)), ...);
    } else {
      const Bits bits[] = {Bits(values[S])...}, noises[] = {noise[S]...};
      (roundVector(bits[S], noises[S], halvesOf(span, S, i)), ...);
    }
    ((places[S] = places[S] + step), ...);
  }
}

/// The whole prologue and epilogue around `run`, which only scales: from copies in the nearest cache, so that a kernel
/// needs one loop.
inline void runPieces(decltype(Kernel::runHalves) run, const Pass& pass, const float* constants, const Span& span,
                      size_t element) {
  alignas(64) float params[kPiece], grads[kPiece];
  const unsigned extras = extrasOf(pass, span);
  const Pass rest = withoutPrologue(pass);
  for (size_t begin = 0; begin < span.length; begin += kPiece) {
    Span piece = {span.param + begin, grads, nullptr, {}, span.length - begin, false};
    if (piece.length > kPiece) piece.length = kPiece;
    for (size_t s = 0; s < kMaxState; ++s) {
      if (span.state[s] != nullptr) piece.state[s] = reinterpret_cast<float*>(halvesOf(span, s, begin));
    }
    for (size_t i = 0; i < piece.length; i += Vec::kLanes) {
      const Vec param = Vec::load(piece.param + i);
      param.store(params + i);
      prologue(pass, extras, param, Vec::load(span.grad + begin + i)).store(grads + i);
    }
    run(rest, constants, piece, element + begin);
    for (size_t i = 0; i < piece.length; i += Vec::kLanes) {
      epilogue(Whole(), pass, extras, span, begin + i, Vec::load(params + i), Vec::load(piece.param + i));
    }
  }
}
}  // namespace ISA
