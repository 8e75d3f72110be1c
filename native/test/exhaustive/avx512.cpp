#define ISA avx512
#include "../../simd/avx512.h"
#include "proof_of_set.h"
extern const RootProof avx512Proof;
const RootProof avx512Proof = {"avx512", &avx512::refinedOf, &avx512::called};
