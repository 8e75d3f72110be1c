// Operations on vectors. Each call reads the current addresses of its arrays and compares their lengths, so that a
// wrong or detached array cannot cause a crash.
#include "linalg.h"

#include <string>
#include <vector>

#include "../engine/linalg.h"
#include "call.h"

namespace {
using linalg::Columns;
using linalg::Vector;

/// Reads arguments that are vectors of one length.
class VectorCall : public Call {
 public:
  using Call::Call;

  /// The length of all vectors.
  size_t length() const { return length_; }

  bool vector(size_t i, const char* name, Vector* out) { return read(values_[i], name, out); }

  /// Leaves `out` unchanged if the argument is undefined.
  bool optional(size_t i, const char* name, Vector* out) { return isUndefined(i) || vector(i, name, out); }

  /// A Float64Array of length().
  bool doubles(size_t i, const char* name, double** out) { return readDoubles(values_[i], name, out); }

  /// A Float64Array of the given length.
  bool doubles(size_t i, const char* name, size_t length, double** out) {
    Vector found;
    size_t foundLength;
    return readVector(env_, values_[i], name, &found, &foundLength) && isDouble(name, found, out) &&
           agree(name, foundLength, length);
  }

  /// Float64Arrays of length().
  bool columns(const std::vector<napi_value>& list, std::vector<double*>* out) {
    out->resize(list.size());
    for (size_t k = 0; k < list.size(); ++k) {
      if (!readDoubles(list[k], "column", &(*out)[k])) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kUnknown = ~size_t{0};

  bool agree(const char* name, size_t found, size_t expected) {
    if (found == expected) return true;
    throwRangeError(env_, std::string("schuss: ") + name + ": length " + std::to_string(found) + ", expected " +
                              std::to_string(expected));
    return false;
  }

  bool read(napi_value value, const char* name, Vector* out) {
    size_t length;
    if (!readVector(env_, value, name, out, &length)) return false;
    if (length_ == kUnknown) length_ = length;
    return agree(name, length, length_);
  }

  bool isDouble(const char* name, const Vector& found, double** out) {
    *out = static_cast<double*>(found.data);
    if (found.element == kDouble) return true;
    throwTypeError(env_, std::string("schuss: ") + name + ": not a Float64Array");
    return false;
  }

  bool readDoubles(napi_value value, const char* name, double** out) {
    Vector found;
    return read(value, name, &found) && isDouble(name, found, out);
  }

  size_t length_ = kUnknown;
};

// dot(x, y) => number
napi_value dot(napi_env env, napi_callback_info info) {
  VectorCall call(env, info);
  Vector x, y;
  if (!call.vector(0, "x", &x) || !call.vector(1, "y", &y)) return nullptr;
  return toNumber(env, linalg::dot(call.set(), x, y, call.length()));
}

// axpby(a, x, b, y, out, z?) => number: out = a * x + b * y; returns the dot product of out and z
napi_value axpby(napi_env env, napi_callback_info info) {
  VectorCall call(env, info);
  linalg::Axpby operands;
  operands.z = {nullptr, kNoElement};
  if (!call.number(0, "a", &operands.a) || !call.vector(1, "x", &operands.x) || !call.number(2, "b", &operands.b) ||
      !call.vector(3, "y", &operands.y) || !call.vector(4, "out", &operands.out) ||
      !call.optional(5, "z", &operands.z)) {
    return nullptr;
  }
  return toNumber(env, linalg::axpby(call.set(), operands, call.length()));
}

// multiply(factor, x, out): out = factor * x
napi_value multiply(napi_env env, napi_callback_info info) {
  VectorCall call(env, info);
  double factor;
  Vector x, out;
  if (!call.number(0, "factor", &factor) || !call.vector(1, "x", &x) || !call.vector(2, "out", &out)) return nullptr;
  linalg::multiply(call.set(), factor, x, out, call.length());
  return nullptr;
}

// maxAbs(x) => number
napi_value maxAbs(napi_env env, napi_callback_info info) {
  VectorCall call(env, info);
  Vector x;
  if (!call.vector(0, "x", &x)) return nullptr;
  return toNumber(env, linalg::maxAbs(call.set(), x, call.length()));
}

// maxAbsDifference(x, y) => number
napi_value maxAbsDifference(napi_env env, napi_callback_info info) {
  VectorCall call(env, info);
  Vector x, y;
  if (!call.vector(0, "x", &x) || !call.vector(1, "y", &y)) return nullptr;
  return toNumber(env, linalg::maxAbsDifference(call.set(), x, y, call.length()));
}

// project(columns, x, out): out = Pᵀ x, where P is the matrix of these columns
napi_value project(napi_env env, napi_callback_info info) {
  VectorCall call(env, info);
  std::vector<napi_value> list;
  std::vector<double*> columns;
  double *x, *out;
  if (!call.list(0, "columns", &list) || !call.doubles(1, "x", &x) || !call.doubles(2, "out", list.size(), &out) ||
      !call.columns(list, &columns)) {
    return nullptr;
  }
  linalg::project(call.set(), Columns{columns.data(), columns.size(), call.length()}, x, out);
  return nullptr;
}

// addCombination(columns, weights, x): x = x + P weights
napi_value addCombination(napi_env env, napi_callback_info info) {
  VectorCall call(env, info);
  std::vector<napi_value> list;
  std::vector<double*> columns;
  double *weights, *x;
  if (!call.list(0, "columns", &list) || !call.doubles(1, "weights", list.size(), &weights) ||
      !call.doubles(2, "x", &x) || !call.columns(list, &columns)) {
    return nullptr;
  }
  linalg::addCombination(call.set(), Columns{columns.data(), columns.size(), call.length()}, weights, x);
  return nullptr;
}

// gemmInPlace(columns, q): P = P Qᵀ
napi_value gemmInPlace(napi_env env, napi_callback_info info) {
  VectorCall call(env, info), ofQ(env, info);  // the rows of q have another length
  std::vector<napi_value> list, rows;
  std::vector<double*> columns, q;
  if (!call.list(0, "columns", &list) || !call.list(1, "q", &rows) || !call.columns(list, &columns) ||
      !ofQ.columns(rows, &q)) {
    return nullptr;
  }
  if (q.size() > columns.size() || (!q.empty() && ofQ.length() != columns.size())) {
    throwRangeError(env, "schuss: q: not a row for each new column, as long as there are columns");
    return nullptr;
  }
  if (columns.empty()) return nullptr;
  linalg::gemmInPlace(call.set(), Columns{columns.data(), columns.size(), call.length()}, q.data(), q.size());
  return nullptr;
}

// gram(columns, out): out = Pᵀ P, in row-major order
napi_value gram(napi_env env, napi_callback_info info) {
  VectorCall call(env, info);
  std::vector<napi_value> list;
  std::vector<double*> columns;
  double* out;
  if (!call.list(0, "columns", &list) || !call.doubles(1, "out", list.size() * list.size(), &out) ||
      !call.columns(list, &columns)) {
    return nullptr;
  }
  if (columns.empty()) return nullptr;
  linalg::gram(call.set(), Columns{columns.data(), columns.size(), call.length()}, out);
  return nullptr;
}

}  // namespace

void defineLinalg(napi_env env, napi_value exports, const KernelSet& set) {
  const NamedFunction functions[] = {
      {"dot", guarded<dot>},
      {"axpby", guarded<axpby>},
      {"multiply", guarded<multiply>},
      {"maxAbs", guarded<maxAbs>},
      {"maxAbsDifference", guarded<maxAbsDifference>},
      {"project", guarded<project>},
      {"addCombination", guarded<addCombination>},
      {"gemmInPlace", guarded<gemmInPlace>},
      {"gram", guarded<gram>},
  };
  defineFunctions(env, exports, functions, &set);
}
