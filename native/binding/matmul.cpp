// Products of matrices. A call checks that every element that it reads or writes is inside its array.
#include "matmul.h"

#include <vector>

#include "../engine/matmul.h"
#include "../engine/parallel.h"
#include "call.h"

namespace {
// A product of fewer multiplications does not gain from a second thread.
constexpr size_t kMinSharedProduct = size_t{1} << 21;

/// Whether element (rows - 1, columns - 1) is inside `length` elements. Each factor of a product is below 2^32.
bool isInside(size_t rows, size_t columns, size_t rowStride, size_t columnStride, size_t length) {
  if (rows == 0 || columns == 0) return true;
  const size_t down = (rows - 1) * rowStride, across = (columns - 1) * columnStride;
  return down < length && across < length - down;
}

// matmul(a, b, out, layout: Uint32Array): out = a b. `layout` has the row and column strides of a and of b, rows,
// columns, depth, and whether the product is symmetric.
napi_value multiply(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Floats a, b, out;
  const uint32_t* layout;
  size_t count;
  if (!call.floats(0, "a", &a) || !call.floats(1, "b", &b) || !call.floats(2, "out", &out) ||
      !call.rows(3, "layout", &layout, &count))
    return nullptr;
  if (count != 8) {
    throwTypeError(env, "schuss: layout: not 8 numbers");
    return nullptr;
  }
  const size_t rows = layout[4], columns = layout[5], depth = layout[6];
  const bool isSymmetric = layout[7] != 0;
  if (!isInside(rows, depth, layout[0], layout[1], a.length) ||
      !isInside(depth, columns, layout[2], layout[3], b.length) || !isInside(rows, columns, columns, 1, out.length) ||
      (isSymmetric && rows != columns)) {
    throwRangeError(env, "schuss: a product that does not fit its matrices");
    return nullptr;
  }
  std::vector<float> packed(matmul::packedFloats(call.set(), rows, columns, depth));
  const bool isShared =
      parallel::always() || static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(depth) >=
                                static_cast<double>(kMinSharedProduct);
  const matmul::Resources resources = {call.set(), packed.data(), isShared ? parallel::threads() : 1, false};
  matmul::multiply(
      resources,
      {{a.data, layout[0], layout[1]}, {b.data, layout[2], layout[3]}, out.data, rows, columns, depth, isSymmetric});
  return nullptr;
}
}  // namespace

void defineMatmul(napi_env env, napi_value exports, const KernelSet& set) {
  const NamedFunction functions[] = {{"matmul", guarded<multiply>}};
  defineFunctions(env, exports, functions, &set);
}
