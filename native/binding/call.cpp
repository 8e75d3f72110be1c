#include "call.h"

#include <math.h>

#include <exception>
#include <new>
#include <stdexcept>

namespace {
bool isPending(napi_env env) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  return pending;
}

std::string wrong(const char* name, const char* expected) {
  return std::string("schuss: ") + name + ": not " + expected;
}
}  // namespace

void throwTypeError(napi_env env, const std::string& message) {
  if (!isPending(env)) napi_throw_type_error(env, nullptr, message.c_str());
}

void throwRangeError(napi_env env, const std::string& message) {
  if (!isPending(env)) napi_throw_range_error(env, nullptr, message.c_str());
}

bool readTypedArray(napi_env env, napi_value value, napi_typedarray_type* type, void** data, size_t* length) {
  bool isArray = false;
  return napi_is_typedarray(env, value, &isArray) == napi_ok && isArray &&
         napi_get_typedarray_info(env, value, type, length, data, nullptr, nullptr) == napi_ok;
}

bool readVector(napi_env env, napi_value value, const char* name, linalg::Vector* out, size_t* length) {
  napi_typedarray_type type = napi_int8_array;
  if (!readTypedArray(env, value, &type, &out->data, length) ||
      (type != napi_float32_array && type != napi_float64_array)) {
    throwTypeError(env, wrong(name, "a Float32Array or a Float64Array"));
    return false;
  }
  out->element = type == napi_float32_array ? kFloat : kDouble;
  return true;
}

bool Call::isUndefined(size_t i) const {
  napi_valuetype type = napi_undefined;
  napi_typeof(env_, values_[i], &type);
  return type == napi_undefined;
}

bool Call::number(size_t i, const char* name, double* out) {
  if (napi_get_value_double(env_, values_[i], out) == napi_ok) return true;
  throwTypeError(env_, wrong(name, "a number"));
  return false;
}

bool Call::integer(size_t i, const char* name, size_t max, size_t* out) {
  double value;
  if (!number(i, name, &value)) return false;
  if (value >= 0 && value <= static_cast<double>(max) && floor(value) == value) {
    *out = static_cast<size_t>(value);
    return true;
  }
  throwRangeError(env_, wrong(name, "an integer in range"));
  return false;
}

bool Call::text(size_t i, const char* name, std::string* out) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env_, values_[i], nullptr, 0, &length) != napi_ok) {
    throwTypeError(env_, wrong(name, "a string"));
    return false;
  }
  out->resize(length);
  return napi_get_value_string_utf8(env_, values_[i], &(*out)[0], length + 1, &length) == napi_ok;
}

bool Call::floats(size_t i, const char* name, Floats* out) {
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  if (!readTypedArray(env_, values_[i], &type, &data, &out->length) || type != napi_float32_array) {
    throwTypeError(env_, wrong(name, "a Float32Array"));
    return false;
  }
  out->data = static_cast<float*>(data);
  return true;
}

bool Call::halves(size_t i, const char* name, Halves* out) {
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  if (!readTypedArray(env_, values_[i], &type, &data, &out->length) || type != napi_uint16_array) {
    throwTypeError(env_, wrong(name, "a Uint16Array"));
    return false;
  }
  out->data = static_cast<uint16_t*>(data);
  return true;
}

bool Call::rows(size_t i, const char* name, const uint32_t** out, size_t* length) {
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  if (!readTypedArray(env_, values_[i], &type, &data, length) ||
      (type != napi_int32_array && type != napi_uint32_array)) {
    throwTypeError(env_, wrong(name, "an Int32Array or a Uint32Array"));
    return false;
  }
  *out = static_cast<const uint32_t*>(data);
  return true;
}

bool Call::words(size_t i, const char* name, const void** out) {
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  size_t length;
  if (!readTypedArray(env_, values_[i], &type, &data, &length) ||
      (type != napi_float32_array && type != napi_int32_array && type != napi_uint32_array)) {
    throwTypeError(env_, wrong(name, "a Float32Array, an Int32Array or a Uint32Array"));
    return false;
  }
  *out = data;
  return true;
}

bool Call::list(size_t i, const char* name, std::vector<napi_value>* out) {
  bool isArray = false;
  uint32_t count = 0;
  if (napi_is_array(env_, values_[i], &isArray) != napi_ok || !isArray ||
      napi_get_array_length(env_, values_[i], &count) != napi_ok) {
    throwTypeError(env_, wrong(name, "a list"));
    return false;
  }
  // No memory is reserved for `count` elements: most of a long list may be holes, and the first hole ends the loop.
  for (uint32_t k = 0; k < count; ++k) {
    napi_value element;
    napi_valuetype type = napi_undefined;
    if (napi_get_element(env_, values_[i], k, &element) != napi_ok) return false;
    if (napi_typeof(env_, element, &type) != napi_ok || type != napi_object) {
      throwTypeError(env_, wrong(name, "a list of the objects expected here"));
      return false;
    }
    out->push_back(element);
  }
  return true;
}

napi_value toNumber(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

napi_value toBoolean(napi_env env, bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env, value, &result);
  return result;
}

napi_value guard(napi_env env, napi_callback_info info, napi_callback function) {
  try {
    return function(env, info);
  } catch (const std::bad_alloc&) {
    throwRangeError(env, "schuss: not enough memory");
  } catch (const std::length_error&) {
    throwRangeError(env, "schuss: not enough memory");
  } catch (const std::exception& error) {
    throwRangeError(env, std::string("schuss: ") + error.what());
  }
  return nullptr;
}
