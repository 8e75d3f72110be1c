#pragma once
#include "../kernel.h"

/// Lists the kernel sets that this build contains and this CPU can run: widest first, scalar always last. Writes at
/// most `capacity` of them to `out` and returns their number.
size_t available(const KernelSet** out, size_t capacity);
constexpr size_t kMaxSets = 8;
