#pragma once
#include "../kernel.h"

/// The kernel, or a copy of it whose `run` is one of its `runWithFma`: whichever is faster on this CPU. The first call
/// for a kernel measures that, in about a tenth of a millisecond. It also compares their results, and keeps `run` if
/// any bit differs. So the results of a step are the same bits.
const Kernel* withFasterRoots(const Kernel* kernel);
