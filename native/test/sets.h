#pragma once
#include <string.h>

#include "../engine/dispatch.h"

/// Calls check(set) for each instruction set of this machine.
template <class F>
void forEachSet(F check) {
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  for (size_t s = 0; s < count; ++s) check(*sets[s]);
}

inline const KernelSet& widestSet() {
  const KernelSet* sets[kMaxSets];
  available(sets, kMaxSets);
  return *sets[0];
}

inline const Kernel* kernelNamed(const KernelSet& set, const char* name) {
  for (size_t k = 0; k < set.count; ++k) {
    if (strcmp(set.kernels[k].name, name) == 0) return &set.kernels[k];
  }
  return nullptr;
}
