#pragma once
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

#include "../engine/linalg.h"

struct KernelSet;

/// The memory of a Float32Array. The pointer may be null if it is empty.
struct Floats {
  float* data;
  size_t length;
};

/// The memory of a Uint16Array. The pointer may be null if it is empty.
struct Halves {
  uint16_t* data;
  size_t length;
};

// A second exception while one is pending would end the process, so these do nothing then.
void throwTypeError(napi_env env, const std::string& message);
void throwRangeError(napi_env env, const std::string& message);

/// Reads the arguments of one call from JavaScript. Each reader throws a TypeError or a RangeError and returns false if
/// its argument is wrong. Written in plain N-API, because wrapper objects cost too much for short vectors.
///
/// A call reads all handles first and memory last: readers of typed arrays run no JavaScript, so an address that was
/// read stays valid until the call returns.
class Call {
 public:
  Call(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMost;
    void* data = nullptr;
    napi_get_cb_info(env, info, &count, values_, nullptr, &data);
    set_ = static_cast<const KernelSet*>(data);
  }

  napi_env env() const { return env_; }
  const KernelSet& set() const { return *set_; }
  napi_value value(size_t i) const { return values_[i]; }
  bool isUndefined(size_t i) const;

  bool number(size_t i, const char* name, double* out);
  /// An integer in [0, max].
  bool integer(size_t i, const char* name, size_t max, size_t* out);
  bool text(size_t i, const char* name, std::string* out);
  bool floats(size_t i, const char* name, Floats* out);
  bool halves(size_t i, const char* name, Halves* out);
  /// Row numbers: an Int32Array or a Uint32Array. A negative number becomes one that is out of range for every param.
  bool rows(size_t i, const char* name, const uint32_t** out, size_t* length);
  /// Floats or row numbers.
  bool words(size_t i, const char* name, const void** out);
  /// The elements of a list. Runs getters among them: call it before any memory is read.
  bool list(size_t i, const char* name, std::vector<napi_value>* out);

 protected:
  static constexpr size_t kMost = 9;
  napi_env env_;
  napi_value values_[kMost];
  const KernelSet* set_;
};

/// Reads the current address and length of a typed array, over an ArrayBuffer, a SharedArrayBuffer or WebAssembly
/// memory. Returns false for any other value; throws nothing.
bool readTypedArray(napi_env env, napi_value value, napi_typedarray_type* type, void** data, size_t* length);

/// A Float32Array or a Float64Array. @throws as `Call`
bool readVector(napi_env env, napi_value value, const char* name, linalg::Vector* out, size_t* length);

napi_value toNumber(napi_env env, double value);
napi_value toBoolean(napi_env env, bool value);

/// Turns a C++ exception into a JavaScript error: it must not leave the call.
napi_value guard(napi_env env, napi_callback_info info, napi_callback function);

template <napi_callback function>
napi_value guarded(napi_env env, napi_callback_info info) {
  return guard(env, info, function);
}

struct NamedFunction {
  const char* name;
  napi_callback function;  ///< from `guarded`
};

/// Adds functions to an object. Each finds `data` in `Call::set`.
template <size_t count>
void defineFunctions(napi_env env, napi_value exports, const NamedFunction (&functions)[count], const void* data) {
  for (const NamedFunction& one : functions) {
    napi_value function;
    if (napi_create_function(env, one.name, NAPI_AUTO_LENGTH, one.function, const_cast<void*>(data), &function) ==
        napi_ok)
      napi_set_named_property(env, exports, one.name, function);
  }
}
