// Operations on vectors. Each call reads the current addresses of its arrays and compares their lengths, so that a
// wrong or detached array cannot cause a crash. Written in plain N-API, because the objects of node-addon-api cost too
// much for short vectors.
#include "linalg.h"

#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "../engine/linalg.h"
#include "buffers.h"

namespace {
using linalg::Columns;
using linalg::Vector;

/// Reads the arguments of one call. Each reader throws and returns false if its argument is wrong.
class Call {
 public:
  Call(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMost;
    void* data = nullptr;
    napi_get_cb_info(env, info, &count, values_, nullptr, &data);
    set_ = static_cast<const KernelSet*>(data);
  }

  const KernelSet& set() const { return *set_; }
  /// The length of all vectors.
  size_t length() const { return length_; }

  bool number(size_t i, double* out) {
    if (napi_get_value_double(env_, values_[i], out) == napi_ok) return true;
    napi_throw_type_error(env_, nullptr, "schuss: not a number");
    return false;
  }

  bool vector(size_t i, const char* name, Vector* out) { return read(values_[i], name, out); }

  /// Leaves `out` unchanged if the argument is undefined.
  bool optional(size_t i, const char* name, Vector* out) {
    napi_valuetype type = napi_undefined;
    napi_typeof(env_, values_[i], &type);
    return type == napi_undefined || vector(i, name, out);
  }

  /// A Float64Array of length().
  bool doubles(size_t i, const char* name, double** out) { return readDoubles(values_[i], name, out); }

  /// A Float64Array of the given length.
  bool doubles(size_t i, const char* name, size_t length, double** out) {
    size_t found;
    return toDoubles(Napi::Value(env_, values_[i]), name, out, &found) && agree(name, found, length);
  }

  /// The elements of an array of typed arrays. Call it before any memory is read, because a getter among the elements
  /// could detach it.
  bool list(size_t i, const char* name, std::vector<napi_value>* out) {
    bool isArray = false;
    uint32_t count = 0;
    if (napi_is_array(env_, values_[i], &isArray) != napi_ok || !isArray ||
        napi_get_array_length(env_, values_[i], &count) != napi_ok) {
      napi_throw_type_error(env_, nullptr, (std::string("schuss: ") + name + ": not an array").c_str());
      return false;
    }
    // No memory is reserved for `count` elements: most of a long array may be holes, and the first hole ends the loop.
    for (uint32_t k = 0; k < count; ++k) {
      napi_value element;
      bool isTypedArray = false;
      if (napi_get_element(env_, values_[i], k, &element) != napi_ok) return false;
      if (napi_is_typedarray(env_, element, &isTypedArray) != napi_ok || !isTypedArray) return refuse(env_, name);
      out->push_back(element);
    }
    return true;
  }

  /// Float64Arrays of length().
  bool columns(const std::vector<napi_value>& list, std::vector<double*>* out) {
    out->resize(list.size());
    for (size_t k = 0; k < list.size(); ++k) {
      if (!readDoubles(list[k], "column", &(*out)[k])) return false;
    }
    return true;
  }

  napi_value number(double value) {
    napi_value result = nullptr;
    napi_create_double(env_, value, &result);
    return result;
  }

 private:
  static constexpr size_t kMost = 6;
  static constexpr size_t kUnknown = ~size_t{0};

  bool agree(const char* name, size_t found, size_t expected) {
    if (found == expected) return true;
    napi_throw_range_error(env_, nullptr,
                           (std::string("schuss: ") + name + ": length " + std::to_string(found) + ", expected " +
                            std::to_string(expected))
                               .c_str());
    return false;
  }

  bool read(napi_value value, const char* name, Vector* out) {
    size_t length;
    if (!toVector(env_, value, name, out, &length)) return false;
    if (length_ == kUnknown) length_ = length;
    return agree(name, length, length_);
  }

  bool readDoubles(napi_value value, const char* name, double** out) {
    Vector found;
    if (!read(value, name, &found)) return false;
    *out = static_cast<double*>(found.data);
    if (found.element == kDouble) return true;
    napi_throw_type_error(env_, nullptr, (std::string("schuss: ") + name + ": not a Float64Array").c_str());
    return false;
  }

  napi_env env_;
  napi_value values_[kMost];
  const KernelSet* set_;
  size_t length_ = kUnknown;
};

// dot(x, y) => number
napi_value dot(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Vector x, y;
  if (!call.vector(0, "x", &x) || !call.vector(1, "y", &y)) return nullptr;
  return call.number(linalg::dot(call.set(), x, y, call.length()));
}

// axpby(a, x, b, y, out, z?) => number: out = a * x + b * y; returns the dot product of out and z
napi_value axpby(napi_env env, napi_callback_info info) {
  Call call(env, info);
  linalg::Axpby operands;
  operands.z = {nullptr, kNoElement};
  if (!call.number(0, &operands.a) || !call.vector(1, "x", &operands.x) || !call.number(2, &operands.b) ||
      !call.vector(3, "y", &operands.y) || !call.vector(4, "out", &operands.out) ||
      !call.optional(5, "z", &operands.z)) {
    return nullptr;
  }
  return call.number(linalg::axpby(call.set(), operands, call.length()));
}

// multiply(factor, x, out): out = factor * x
napi_value multiply(napi_env env, napi_callback_info info) {
  Call call(env, info);
  double factor;
  Vector x, out;
  if (!call.number(0, &factor) || !call.vector(1, "x", &x) || !call.vector(2, "out", &out)) return nullptr;
  linalg::multiply(call.set(), factor, x, out, call.length());
  return nullptr;
}

// maxAbs(x) => number
napi_value maxAbs(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Vector x;
  if (!call.vector(0, "x", &x)) return nullptr;
  return call.number(linalg::maxAbs(call.set(), x, call.length()));
}

// maxAbsDifference(x, y) => number
napi_value maxAbsDifference(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Vector x, y;
  if (!call.vector(0, "x", &x) || !call.vector(1, "y", &y)) return nullptr;
  return call.number(linalg::maxAbsDifference(call.set(), x, y, call.length()));
}

// project(columns, x, out): out = Pᵀ x, where P is the matrix of these columns
napi_value project(napi_env env, napi_callback_info info) {
  Call call(env, info);
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
  Call call(env, info);
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
  Call call(env, info), ofQ(env, info);  // the rows of q have another length
  std::vector<napi_value> list, rows;
  std::vector<double*> columns, q;
  if (!call.list(0, "columns", &list) || !call.list(1, "q", &rows) || !call.columns(list, &columns) ||
      !ofQ.columns(rows, &q)) {
    return nullptr;
  }
  if (q.size() > columns.size() || (!q.empty() && ofQ.length() != columns.size())) {
    napi_throw_range_error(env, nullptr, "schuss: q: not a row for each new column, as long as there are columns");
    return nullptr;
  }
  if (columns.empty()) return nullptr;
  linalg::gemmInPlace(call.set(), Columns{columns.data(), columns.size(), call.length()}, q.data(), q.size());
  return nullptr;
}

// gram(columns, out): out = Pᵀ P, in row-major order
napi_value gram(napi_env env, napi_callback_info info) {
  Call call(env, info);
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

/// Turns a C++ exception into a JavaScript error: it must not leave the call.
template <napi_callback function>
napi_value guarded(napi_env env, napi_callback_info info) {
  try {
    return function(env, info);
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {
  }
  napi_throw_range_error(env, nullptr, "schuss: not enough memory");
  return nullptr;
}
}  // namespace

void defineLinalg(Napi::Env env, Napi::Object exports, const KernelSet& set) {
  const struct {
    const char* name;
    napi_callback function;
  } all[] = {
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
  for (const auto& one : all) {
    napi_value function;
    napi_create_function(env, one.name, NAPI_AUTO_LENGTH, one.function, const_cast<KernelSet*>(&set), &function);
    exports.Set(one.name, Napi::Value(env, function));
  }
}
