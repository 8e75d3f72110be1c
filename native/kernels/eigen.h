#pragma once
// The loops of decompositions, in float64. Vectors run over the elements of a row, and each element sees its operations
// in the same order, so that the width of a vector cannot change a bit.
namespace ISA {
/// Registers of sums that addRows and rotate keep for the rows that they pass.
constexpr size_t kEigenRegisters = 4;

/// Calls step(i, v) for groups of registers as long as there are enough elements, and then for the rest.
template <class Wide, class Narrow>
inline void forEachGroup(size_t length, Wide wide, Narrow narrow) {
  size_t i = 0;
  for (; i + kEigenRegisters * Double::kLanes <= length; i += kEigenRegisters * Double::kLanes) wide(i);
  for (; i + Double::kLanes <= length; i += Double::kLanes) narrow(i, Double());
  for (; i < length; ++i) narrow(i, Double1());
}

inline void addRows(const double* rows, size_t stride, const double* weights, size_t count, double* sum,
                    size_t length) {
  forEachGroup(
      length,
      [=](size_t i) {
        Double sums[kEigenRegisters];
        for (size_t r = 0; r < kEigenRegisters; ++r) sums[r] = Double::load(sum + i + r * Double::kLanes);
        const double* row = rows + i;
        for (size_t k = 0; k < count; ++k, row += stride) {
          const Double weight = weights[k];
          for (size_t r = 0; r < kEigenRegisters; ++r) {
            sums[r] = sums[r] + weight * Double::load(row + r * Double::kLanes);
          }
        }
        for (size_t r = 0; r < kEigenRegisters; ++r) sums[r].store(sum + i + r * Double::kLanes);
      },
      [=](size_t i, auto v) {
        using V = decltype(v);
        V total = V::load(sum + i);
        for (size_t k = 0; k < count; ++k) total = total + V(weights[k]) * V::load(rows + k * stride + i);
        total.store(sum + i);
      });
}

inline void subtract(double a, const double* x, double* y, size_t length) {
  forEach(length, [=](size_t i, auto v) {
    using V = decltype(v);
    (V::load(y + i) - V(a) * V::load(x + i)).store(y + i);
  });
}

inline void subtractBoth(double a, const double* x, double b, const double* y, double* z, size_t length) {
  forEach(length, [=](size_t i, auto v) {
    using V = decltype(v);
    (V::load(z + i) - (V(a) * V::load(x + i) + V(b) * V::load(y + i))).store(z + i);
  });
}

/// The row that two angles share stays in a register.
inline void rotate(double* rows, size_t stride, size_t first, size_t last, const double* cosines, const double* sines,
                   size_t length) {
  forEachGroup(
      length,
      [=](size_t j) {
        Double below[kEigenRegisters];
        double* row = rows + last * stride + j;
        for (size_t r = 0; r < kEigenRegisters; ++r) below[r] = Double::load(row + r * Double::kLanes);
        for (size_t i = last; i-- > first; row -= stride) {
          const Double c = cosines[i], s = sines[i];
          for (size_t r = 0; r < kEigenRegisters; ++r) {
            const Double x = Double::load(row - stride + r * Double::kLanes);
            (s * x + c * below[r]).store(row + r * Double::kLanes);
            below[r] = c * x - s * below[r];
          }
        }
        for (size_t r = 0; r < kEigenRegisters; ++r) below[r].store(row + r * Double::kLanes);
      },
      [=](size_t j, auto v) {
        using V = decltype(v);
        double* row = rows + last * stride + j;
        V below = V::load(row);
        for (size_t i = last; i-- > first; row -= stride) {
          const V c = cosines[i], s = sines[i];
          const V x = V::load(row - stride);
          (s * x + c * below).store(row);
          below = c * x - s * below;
        }
        below.store(row);
      });
}

static constexpr EigenKernels kEigen = {&addRows, &subtract, &subtractBoth, &rotate};
}  // namespace ISA
