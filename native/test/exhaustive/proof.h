#pragma once
#include <stddef.h>
#include <stdint.h>

/// A part of all cases: the floats whose bits are first, first + step, first + 2 step, ... below `end`.
struct Cases {
  uint64_t first, end, step;
};

/// What the program runs of one instruction set. Each returns the number of vectors with a wrong case, and prints the
/// first.
struct RootProof {
  const char* isa;
  /// refinedRoot from each approximation within the error that the CPU's manual allows, for radicands
  /// in [1, 4). `*count` becomes the number of pairs.
  uint64_t (*refined)(bool isRough, const Cases& radicands, uint64_t* count);
  /// sqrt(FmaVec) and the divider's root, with the approximations of this CPU, for any float.
  uint64_t (*called)(const Cases& floats);
};

extern const RootProof avx2Proof, avx512Proof;
