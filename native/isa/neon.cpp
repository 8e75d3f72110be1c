#define ISA neon
#include "../simd/scalar.h"
#include "../simd/neon.h"
#include "../kernels/all.h"
