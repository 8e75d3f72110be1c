#pragma once
// Products of float32 matrices. Each element is the sum of its products in the order of k, from +0; each product is
// rounded, then each sum. The vectors run over columns, so that neither their width, nor the tile, nor the blocks of k
// can change a bit: a sum that is stored and taken up again is the same sum.
namespace ISA {
/// A tile keeps its sums in registers, two vectors for each of its rows. AVX-512 and NEON have 32 registers.
#if defined(__aarch64__) || defined(_M_ARM64)
constexpr size_t kTileRows = 14;
#else
constexpr size_t kTileRows = Vec::kLanes == 16 ? 14 : 6;
#endif
constexpr size_t kTileColumns = 2 * Vec::kLanes;

template <size_t... I>
ALWAYS_INLINE void wholeTile(const float* a, const float* b, size_t depth, bool isFirst, float* out, size_t stride,
                             Indices<I...>) {
  const auto first = [=](const float* p) { return isFirst ? Vec(0.0f) : Vec::load(p); };
  Vec sums[kTileRows][2] = {{first(out + I * stride), first(out + I * stride + Vec::kLanes)}...};
  for (; depth > 0; --depth, a += kTileRows, b += kTileColumns) {
    const Vec left = Vec::load(b), right = Vec::load(b + Vec::kLanes);
    ((sums[I][0] = sums[I][0] + Vec(a[I]) * left, sums[I][1] = sums[I][1] + Vec(a[I]) * right), ...);
  }
  ((sums[I][0].store(out + I * stride), sums[I][1].store(out + I * stride + Vec::kLanes)), ...);
}

inline void tile(const float* a, const float* b, size_t depth, bool isFirst, float* out, size_t stride, size_t rows,
                 size_t columns) {
  if (rows == kTileRows && columns == kTileColumns) {
    return wholeTile(a, b, depth, isFirst, out, stride, typename Count<kTileRows>::type());
  }
  // At an edge: a whole tile beside the matrix, of which a part is copied.
  float whole[kTileRows * kTileColumns] = {};
  for (size_t i = 0; i < rows && !isFirst; ++i) {
    memcpy(whole + i * kTileColumns, out + i * stride, columns * sizeof(float));
  }
  wholeTile(a, b, depth, false, whole, kTileColumns, typename Count<kTileRows>::type());
  for (size_t i = 0; i < rows; ++i) {
    memcpy(out + i * stride, whole + i * kTileColumns, columns * sizeof(float));
  }
}

inline void combine(float a, const float* x, float b, float* y, size_t length) {
  size_t i = 0;
  for (; i + Vec::kLanes <= length; i += Vec::kLanes) {
    (Vec(a) * Vec::load(x + i) + Vec(b) * Vec::load(y + i)).store(y + i);
  }
  for (; i < length; ++i) y[i] = a * x[i] + b * y[i];
}

inline void divide(float* x, float divisor, size_t length) {
  size_t i = 0;
  for (; i + Vec::kLanes <= length; i += Vec::kLanes) (Vec::load(x + i) / Vec(divisor)).store(x + i);
  for (; i < length; ++i) x[i] = x[i] / divisor;
}

static constexpr MatmulKernels kMatmul = {kTileRows, kTileColumns, &tile, &combine, &divide};
}  // namespace ISA
