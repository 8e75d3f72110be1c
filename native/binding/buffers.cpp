#include "buffers.h"

#include <stdint.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include <string>

#include "../engine/allocator.h"

bool refuse(napi_env env, const char* name) {
  if (Napi::Env(env).IsExceptionPending()) return false;  // a second exception would be fatal
  Napi::TypeError::New(env, std::string("schuss: ") + name + ": not a typed array of the kind expected here")
      .ThrowAsJavaScriptException();
  return false;
}

namespace {
bool toAny(napi_env env, napi_value value, napi_typedarray_type* type, void** data, size_t* length) {
  bool isArray = false;
  return napi_is_typedarray(env, value, &isArray) == napi_ok && isArray &&
         napi_get_typedarray_info(env, value, type, length, data, nullptr, nullptr) == napi_ok;
}

bool toMemory(const Napi::Value& value, napi_typedarray_type wanted, const char* name, void** data, size_t* length) {
  napi_typedarray_type type = napi_int8_array;
  return (toAny(value.Env(), value, &type, data, length) && type == wanted) || refuse(value.Env(), name);
}
}  // namespace

bool toFloats(const Napi::Value& value, const char* name, Floats* out) {
  void* data = nullptr;
  if (!toMemory(value, napi_float32_array, name, &data, &out->length)) return false;
  out->data = static_cast<float*>(data);
  return true;
}

bool toRows(const Napi::Value& value, const char* name, const uint32_t** out, size_t* length) {
  const bool isSigned = value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_int32_array;
  void* data = nullptr;
  if (!toMemory(value, isSigned ? napi_int32_array : napi_uint32_array, name, &data, length)) return false;
  *out = static_cast<const uint32_t*>(data);
  return true;
}

bool toInts(const Napi::Value& value, const char* name, int32_t** out, size_t* length) {
  return toMemory(value, napi_int32_array, name, reinterpret_cast<void**>(out), length);
}

bool toDoubles(const Napi::Value& value, const char* name, double** out, size_t* length) {
  return toMemory(value, napi_float64_array, name, reinterpret_cast<void**>(out), length);
}

bool toVector(napi_env env, napi_value value, const char* name, linalg::Vector* out, size_t* length) {
  napi_typedarray_type type = napi_int8_array;
  if (!toAny(env, value, &type, &out->data, length) || (type != napi_float32_array && type != napi_float64_array))
    return refuse(env, name);
  out->element = type == napi_float32_array ? kFloat : kDouble;
  return true;
}

Napi::Value allocate(const Napi::CallbackInfo& info) {
  // Node 20 rejects larger buffers, but runs the finalizer anyway. Freeing the block here too would crash.
  constexpr size_t kMaxBytes = size_t{1} << 32;
  const napi_env env = info.Env();
  const size_t length = static_cast<size_t>(info[0].As<Napi::Number>().Int64Value());
  if (length > kMaxBytes / sizeof(float)) return info.Env().Undefined();
  const size_t bytes = length * sizeof(float);
  void* block = allocator::allocate(bytes);
  if (block == nullptr) return info.Env().Undefined();
  napi_value buffer;
  const napi_status status = napi_create_external_arraybuffer(
      env, block, bytes, [](napi_env, void* data, void*) { allocator::release(data); }, nullptr, &buffer);
  if (status != napi_ok) {
    // Electron and other builds with a memory cage allow no external buffers, and do not run the finalizer.
    if (status == napi_no_external_buffers_allowed) allocator::release(block);
    return info.Env().Undefined();
  }
  return Napi::Float32Array::New(info.Env(), length, Napi::ArrayBuffer(env, buffer), 0);
}

Napi::Value useLargePages(const Napi::CallbackInfo& info) {
  Floats floats;
  if (!toFloats(info[0], "array", &floats)) return info.Env().Undefined();
#ifdef MADV_HUGEPAGE
  constexpr uintptr_t kPage = uintptr_t{2} << 20;
  const uintptr_t address = reinterpret_cast<uintptr_t>(floats.data);
  const uintptr_t begin = (address + kPage - 1) & ~(kPage - 1);
  const uintptr_t end = (address + floats.length * sizeof(float)) & ~(kPage - 1);
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
  return info.Env().Undefined();
}

Napi::Value owns(const Napi::CallbackInfo& info) {
  Floats floats;
  if (!toFloats(info[0], "array", &floats)) return info.Env().Undefined();
  const bool isOwned = allocator::retain(floats.data);
  if (isOwned) allocator::release(floats.data);
  return Napi::Boolean::New(info.Env(), isOwned);
}

Napi::Value address(const Napi::CallbackInfo& info) {
  Floats floats;
  if (!toFloats(info[0], "array", &floats)) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), static_cast<double>(reinterpret_cast<uintptr_t>(floats.data)));
}
