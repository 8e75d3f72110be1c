#pragma once
#include <node_api.h>
#include <stddef.h>

#include <memory>

// Native memory that JavaScript objects own. The runtime runs finalizers only when the event loop turns, so a loop that
// never yields would keep the memory of all dead objects. Therefore the addon looks for dead owners itself, before it
// allocates more.

struct Environment;

/// Base of a native object that a JavaScript object owns.
class Owned {
 public:
  virtual ~Owned() = default;

  /// Frees the memory. Does nothing the second time.
  void release(napi_env env);

 protected:
  virtual void free(napi_env env) = 0;

 private:
  friend struct Environment;
  friend bool own(napi_env, napi_value, Owned*, const napi_type_tag&);
  napi_ref owner_ = nullptr;  ///< weak
  bool isReleased_ = false;
  size_t index_ = 0;  ///< in the environment's list
  std::shared_ptr<Environment> environment_;
};

/// Makes `owner`, a new JavaScript object, own `object`. Deletes `object` and returns false if that fails.
bool own(napi_env env, napi_value owner, Owned* object, const napi_type_tag& tag);
/// The object that `value` owns, or null if `value` owns none with this tag.
Owned* ownedBy(napi_env env, napi_value value, const napi_type_tag& tag);

/// Whether so much memory of dead buffers waits for the event loop that new memory should be ordinary ArrayBuffers,
/// which the runtime frees without it.
bool isWaiting(napi_env env);

/// A new ArrayBuffer over a block of the allocator, which keeps the block alive. Returns false if the runtime allows
/// none.
bool createBuffer(napi_env env, const void* block, size_t bytes, napi_value* buffer);

/// Call it before memory is allocated. From time to time it frees the memory of dead owners.
void willAllocate(napi_env env, size_t bytes);

/// Call it once when the addon is loaded.
bool initOwnership(napi_env env);
