#define ISA sse2
#include "../simd/sse2.h"
#include "../kernels/all.h"
