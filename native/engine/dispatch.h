#pragma once
#include "../kernel.h"

/// The kernel sets that this build holds and this CPU can run, widest first; scalar is always last.
/// Writes at most `capacity` of them to `out` and returns how many.
size_t available(const KernelSet** out, size_t capacity);
constexpr size_t kMaxSets = 8;
