#define ISA scalar
#include "../simd/scalar.h"
namespace ISA {
using Vec = Vec1;
using Bits = Bits1;
using Double = Double1;
using Doubles = Doubles1;
}  // namespace ISA
#include "../kernels/all.h"
