// root_proof [--sample]: proves that the roots of kernels/root.h have the bits of the CPU's own square root.
//
// 1. refinedRoot, for every radicand in [1, 4) and every approximation of 1 / sqrt(x) within the error that the manuals
//    of the CPUs allow. Radicands elsewhere behave alike: four times the radicand is twice the root, and sqrt(FmaVec)
//    scales them to where nothing overflows and each remainder is exact. So this holds for CPUs that are not here.
// 2. sqrt(FmaVec) for each of the 2^32 floats with the approximations of this CPU, which covers the scaling and what is
//    no number, with denormal numbers and with those flushed to 0.
//
// With --sample both look at some of the radicands and floats, at other ones on each day, and at all radicands just
// below 4, where the constant of refinedRoot is tight.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "../../engine/denormals.h"
#include "proof.h"

namespace {
/// Calls part(cases) on each CPU for its share of the bits from `begin` to `end`. Returns the sum of the results.
template <class Part>
uint64_t onAllCpus(uint64_t begin, uint64_t end, uint64_t step, Part part) {
  const uint64_t cpus = std::max(1u, std::thread::hardware_concurrency()), share = (end - begin) / cpus;
  const uint64_t offset = static_cast<uint64_t>(time(nullptr)) / 86400 % step;
  std::atomic<uint64_t> sum{0};
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < cpus; ++i) {
    const Cases cases = {begin + i * share + offset, i == cpus - 1 ? end : begin + (i + 1) * share, step};
    threads.emplace_back([&sum, part, cases] { sum += part(cases); });
  }
  for (std::thread& thread : threads) thread.join();
  return sum;
}

/// Prints the result of a part. Returns whether it is right.
bool isRight(const char* isa, const char* what, uint64_t count, uint64_t wrong) {
  printf("%-6s %s: %llu cases, %llu wrong vectors\n", isa, what, static_cast<unsigned long long>(count),
         static_cast<unsigned long long>(wrong));
  return wrong == 0;
}

bool isRefinedRight(const RootProof& proof, bool isRough, uint64_t step) {
  constexpr uint64_t kOne = 0x3f800000, kFour = 0x40800000, kBorder = 64;
  std::atomic<uint64_t> count{0};
  const auto refined = [&](const Cases& radicands) {
    uint64_t pairs;
    const uint64_t wrong = proof.refined(isRough, radicands, &pairs);
    count += pairs;
    return wrong;
  };
  uint64_t wrong = onAllCpus(kOne, kFour, step, refined);
  if (step > 1) wrong += refined({kFour - kBorder, kFour, 1});
  const char* const what = isRough ? "from approximations within 1.5 * 2^-12" : "from approximations within 2^-14";
  return isRight(proof.isa, what, count, wrong);
}

bool isCalledRight(const RootProof& proof, bool isFlushed, uint64_t step) {
  constexpr uint64_t kFloats = uint64_t{1} << 32;
  const uint64_t wrong = onAllCpus(0, kFloats, step, [&](const Cases& floats) {
    const FlushDenormals flush(isFlushed);
    return proof.called(floats);
  });
  return isRight(proof.isa, isFlushed ? "as called, denormals flushed" : "as called", kFloats / step, wrong);
}
}  // namespace

int main(int argc, char** argv) {
  const bool isSample = argc == 2 && strcmp(argv[1], "--sample") == 0;
  if (argc > 1 && !isSample) {
    printf("usage: %s [--sample]\n", argv[0]);
    return 2;
  }
  const uint64_t radicandStep = isSample ? 61 : 1, floatStep = isSample ? 17 : 1;
  bool isProved = true;
  const auto prove = [&](const RootProof& proof) {
    for (bool isRough : {false, true}) isProved = isRefinedRight(proof, isRough, radicandStep) && isProved;
    for (bool isFlushed : {false, true}) isProved = isCalledRight(proof, isFlushed, floatStep) && isProved;
  };
  const bool hasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool hasAvx512 = __builtin_cpu_supports("avx512f");
  if (hasAvx2) prove(avx2Proof);
  if (hasAvx512) prove(avx512Proof);
  if (!hasAvx2 && !hasAvx512) printf("SKIPPED: this CPU has neither AVX2 with FMA nor AVX-512\n");
  return isProved ? 0 : 1;
}
