#define ISA avx512
#include "../simd/avx512.h"
#include "../kernels/all.h"
