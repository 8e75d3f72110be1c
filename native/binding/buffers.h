#pragma once
#include <napi.h>
#include <stddef.h>

#include "../engine/linalg.h"

/// The memory of a Float32Array. The pointer may be null if it is empty.
struct Floats {
  float* data;
  size_t length;
};

// Each of these reads the current address and length of a typed array, over an ArrayBuffer, a SharedArrayBuffer or
// WebAssembly memory. They check the element type, which As<>() of Napi does not. If it is wrong, they throw a
// TypeError and return false.

bool toFloats(const Napi::Value& value, const char* name, Floats* out);

/// Row numbers: an Int32Array or a Uint32Array. A negative number becomes one that is out of range for every param.
bool toRows(const Napi::Value& value, const char* name, const uint32_t** out, size_t* length);
bool toInts(const Napi::Value& value, const char* name, int32_t** out, size_t* length);
bool toDoubles(const Napi::Value& value, const char* name, double** out, size_t* length);

/// A Float32Array or a Float64Array.
bool toVector(napi_env env, napi_value value, const char* name, linalg::Vector* out, size_t* length);

/// Throws the TypeError for a value of another kind. Returns false.
bool refuse(napi_env env, const char* name);

/// allocate(length): returns a zeroed Float32Array, aligned to 64 bytes. Returns undefined if the runtime does not
/// allow external memory, or not that much.
Napi::Value allocate(const Napi::CallbackInfo& info);

/// useLargePages(array): asks the system to back new memory by large pages, before its first use. Touching it is then
/// several times faster, because each page costs a fault. A hint, which changes no values.
Napi::Value useLargePages(const Napi::CallbackInfo& info);

/// owns(array): returns whether the current memory of the array is a block of `allocate`.
Napi::Value owns(const Napi::CallbackInfo& info);

/// address(array): returns its current address as a number. Finds overlaps between different buffer objects over the
/// same memory.
Napi::Value address(const Napi::CallbackInfo& info);
