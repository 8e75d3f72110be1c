#pragma once
#include <napi.h>
#include <stddef.h>

#include "../engine/linalg.h"

/// The memory of a Float32Array; an empty one may have a null pointer.
struct Floats {
  float* data;
  size_t length;
};

/// Reads any typed array as it stands now (over an ArrayBuffer, a SharedArrayBuffer or wasm memory) and checks its
/// element type, which Napi's As<>() does not. Throws a TypeError and returns false otherwise.
bool toFloats(const Napi::Value& value, const char* name, Floats* out);

/// Reads an Int32Array or a Uint32Array of row numbers; a negative one reads as one that no param has.
bool toRows(const Napi::Value& value, const char* name, const uint32_t** out, size_t* length);

/// The same for the blocks that the wrapper shares with the plan.
bool toInts(const Napi::Value& value, const char* name, int32_t** out, size_t* length);
bool toDoubles(const Napi::Value& value, const char* name, double** out, size_t* length);

/// Throws the TypeError for what is no such array; false.
bool refuse(napi_env env, const char* name);

/// Reads a Float32Array or a Float64Array.
bool toVector(napi_env env, napi_value value, const char* name, linalg::Vector* out, size_t* length);

/// allocate(length): a zeroed Float32Array, 64-byte aligned; undefined where the runtime has no such external memory.
Napi::Value allocate(const Napi::CallbackInfo& info);

/// useLargePages(array): asks the system to back new memory by large pages, before its first use. Touching it is then
/// several times faster, because each page costs a fault. A hint, which changes no values.
Napi::Value useLargePages(const Napi::CallbackInfo& info);

/// owns(array): whether its memory is a block of `allocate`, as far as this array sees it now.
Napi::Value owns(const Napi::CallbackInfo& info);

/// address(array): where it lies, as a number; for finding overlaps between different buffer objects on one memory.
Napi::Value address(const Napi::CallbackInfo& info);
