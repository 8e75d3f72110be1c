#pragma once
#include <node_api.h>

#include "ownership.h"

/// Memory of one array of an optimizer's state, in the allocator. JavaScript reads and writes copies, so it can neither
/// free nor move the memory of a step that runs on another thread.
class Block : public Owned {
 public:
  Block(void* memory, size_t length) : memory_(static_cast<float*>(memory)), length_(length) {}

  /// The block of a JavaScript object. Throws a TypeError and returns null if it has none, or a released one.
  static Block* of(napi_env env, napi_value value);

  float* data() const { return memory_; }
  size_t length() const { return length_; }

 protected:
  void free(napi_env env) override;

 private:
  float* memory_;
  size_t length_;
};

/// Adds the functions for memory to `exports`.
void defineMemory(napi_env env, napi_value exports);
