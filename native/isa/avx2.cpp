#define ISA avx2
#include "../simd/scalar.h"
#include "../simd/avx2.h"
#include "../kernels/all.h"
