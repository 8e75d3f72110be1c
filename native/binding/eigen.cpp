// Decompositions of square matrices. A call checks that every element that it reads or writes is inside its array.
#include "eigen.h"

#include <vector>

#include "../engine/eigen.h"
#include "../engine/parallel.h"
#include "call.h"

namespace {
constexpr size_t kMaxSide = 1 << 16;

/// The memory of a decomposition.
class Workspace {
 public:
  Workspace(const KernelSet& set, size_t side)
      : memory_(eigen::memoryDoubles(side)), resources_{set, memory_.data(), parallel::threads(), false} {}
  const eigen::Resources& resources() const { return resources_; }

 private:
  std::vector<double> memory_;
  const eigen::Resources resources_;
};

/// Reads a matrix and a result of `side` rows and columns. @throws as `Call`, and a RangeError for one that is too
/// short
bool readMatrices(const Call& call, const Floats& matrix, const Floats& out, size_t side) {
  if (matrix.length / side >= side && out.length / side >= side) return true;
  throwRangeError(call.env(), "schuss: a matrix that is too short for its side");
  return false;
}

// eigenvectors(matrix, side, vectors, values: Float64Array)
napi_value eigenvectors(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Floats matrix, vectors;
  linalg::Vector values;
  size_t side, count;
  if (!call.integer(1, "side", kMaxSide, &side) || !call.floats(0, "matrix", &matrix) ||
      !call.floats(2, "vectors", &vectors) || !readVector(env, call.value(3), "values", &values, &count))
    return nullptr;
  if (side == 0) return nullptr;
  if (!readMatrices(call, matrix, vectors, side)) return nullptr;
  if (values.element != kDouble || count < side) {
    throwRangeError(env, "schuss: values: not a Float64Array of the length of a side");
    return nullptr;
  }
  const Workspace workspace(call.set(), side);
  eigen::eigenvectors(workspace.resources(), matrix.data, side, vectors.data, static_cast<double*>(values.data));
  return nullptr;
}

// inverseRoot(matrix, side, divisor, eps, isQuarter, out)
napi_value inverseRoot(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Floats matrix, out;
  InverseRoot root;
  size_t side, isQuarter;
  if (!call.integer(1, "side", kMaxSide, &side) || !call.number(2, "divisor", &root.divisor) ||
      !call.number(3, "eps", &root.eps) || !call.integer(4, "isQuarter", 1, &isQuarter) ||
      !call.floats(0, "matrix", &matrix) || !call.floats(5, "out", &out))
    return nullptr;
  if (side == 0 || !readMatrices(call, matrix, out, side)) return nullptr;
  root.isQuarter = isQuarter != 0;
  const Workspace workspace(call.set(), side);
  eigen::inverseRoot(workspace.resources(), matrix.data, side, root, out.data);
  return nullptr;
}

// orthonormalize(matrix, side, out)
napi_value orthonormalize(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Floats matrix, out;
  size_t side;
  if (!call.integer(1, "side", kMaxSide, &side) || !call.floats(0, "matrix", &matrix) || !call.floats(2, "out", &out))
    return nullptr;
  if (side == 0 || !readMatrices(call, matrix, out, side)) return nullptr;
  const Workspace workspace(call.set(), side);
  eigen::orthonormalize(workspace.resources(), matrix.data, side, out.data);
  return nullptr;
}
}  // namespace

void defineEigen(napi_env env, napi_value exports, const KernelSet& set) {
  const NamedFunction functions[] = {{"eigenvectors", guarded<eigenvectors>},
                                     {"inverseRoot", guarded<inverseRoot>},
                                     {"orthonormalize", guarded<orthonormalize>}};
  defineFunctions(env, exports, functions, &set);
}
