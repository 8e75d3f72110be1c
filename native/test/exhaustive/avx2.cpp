#define ISA avx2
#include "../../simd/avx2.h"
#include "proof_of_set.h"
extern const RootProof avx2Proof;
const RootProof avx2Proof = {"avx2", &avx2::refinedOf, &avx2::called};
