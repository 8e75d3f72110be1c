#include "ownership.h"

#include <string.h>

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "../engine/allocator.h"

namespace {
// The owners are looked through when this much is new, or as much as there was after the last look.
constexpr size_t kMinBytes = size_t{16} << 20;
constexpr size_t kMinCount = 256;
constexpr size_t kMaxWaitingBytes = size_t{32} << 20;
constexpr size_t kCollectBytes = size_t{32} << 20;
constexpr int64_t kPressure = int64_t{1} << 40;

/// An ArrayBuffer over a block. Its finalizer may run on another thread and after the environment has ended, so it uses
/// nothing of Node-API and nothing of the environment.
struct Buffer {
  const void* block;
  size_t bytes;
  napi_ref buffer;  ///< weak
  std::atomic<bool> isFinalized;
  bool isMoved;  ///< another environment may hold the memory
};

/// An ArrayBuffer that is newer than all others of its environment. When an environment of Node ends, Node finalizes
/// the newest buffer first, while the others are as JavaScript left them. Cleanup hooks run too late for that.
struct Sentinel {
  napi_ref buffer;
  bool isNewest;
  std::shared_ptr<Environment> environment;
};

bool isDead(napi_env env, napi_ref ref) {
  napi_value value = nullptr;
  return napi_get_reference_value(env, ref, &value) != napi_ok || value == nullptr;
}
}  // namespace

/// The owned objects of one environment: the main thread's, or a worker thread's.
struct Environment {
  napi_env env;
  std::vector<Owned*> owned;
  std::vector<std::shared_ptr<Buffer>> buffers;
  size_t newBytes = 0, bytes = kMinBytes;  ///< allocated since the last look, and when to look again
  size_t nextCount = kMinCount;
  size_t waitingBytes = 0;      ///< of buffers that were dead at the last look
  size_t uncollectedBytes = 0;  ///< allocated while too much waits, since the last collection
  bool finalizesMoved = false;  ///< whether the runtime finalizes a buffer whose memory was transferred
  Sentinel* sentinel = nullptr;

  static Environment* of(napi_env env) { return shared(env).get(); }

  static std::shared_ptr<Environment> shared(napi_env env) {
    void* data = nullptr;
    napi_get_instance_data(env, &data);
    return *static_cast<std::shared_ptr<Environment>*>(data);
  }

  void add(Owned* object) {
    object->index_ = owned.size();
    owned.push_back(object);
  }

  void remove(Owned* object) {
    owned[object->index_] = owned.back();
    owned[object->index_]->index_ = object->index_;
    owned.pop_back();
  }

  void look() {
    napi_handle_scope scope;
    napi_open_handle_scope(env, &scope);
    for (size_t i = owned.size(); i-- > 0;) {
      if (isDead(env, owned[i]->owner_)) owned[i]->release(env);  // removes it from the list
    }
    waitingBytes = 0;
    size_t alive = 0, kept = 0;
    for (std::shared_ptr<Buffer>& buffer : buffers) {
      if (buffer->isFinalized) {
        napi_delete_reference(env, buffer->buffer);
        continue;
      }
      (isDead(env, buffer->buffer) ? waitingBytes : alive) += buffer->bytes;
      std::swap(buffers[kept++], buffer);
    }
    buffers.resize(kept);
    napi_close_handle_scope(env, scope);
    if (waitingBytes > kMaxWaitingBytes) {
      uncollectedBytes += newBytes;
      if (uncollectedBytes >= kCollectBytes) collect();
    }
    newBytes = 0;
    bytes = std::max(alive, kMinBytes);
    nextCount = std::max(2 * (owned.size() + buffers.size()), kMinCount);
  }

  /// Makes V8 collect now. Its own schedule would let some 100 MB more grow. It is told of external memory beyond every
  /// limit, then that this memory is gone again.
  void collect() {
    uncollectedBytes = 0;
    int64_t total;
    napi_adjust_external_memory(env, kPressure, &total);
    napi_adjust_external_memory(env, -kPressure, &total);
  }

  void watchEnd();

  /// Node finalizes the buffers of an environment that ends, even those whose memory was transferred to another one.
  /// Nobody will know when that memory is no longer in use: it is never freed.
  void end() {
    for (const std::shared_ptr<Buffer>& buffer : buffers) {
      napi_value value = nullptr;
      bool isDetached = true;
      if (napi_get_reference_value(env, buffer->buffer, &value) == napi_ok && value != nullptr)
        napi_is_detached_arraybuffer(env, value, &isDetached);
      buffer->isMoved = isDetached;
    }
  }
};

void Environment::watchEnd() {
  if (!finalizesMoved) return;
  const auto finalize = [](napi_env env, void*, void* hint) {
    Sentinel* const sentinel = static_cast<Sentinel*>(hint);
    if (sentinel->isNewest) sentinel->environment->end();
    napi_delete_reference(env, sentinel->buffer);
    delete sentinel;
  };
  auto* const newest = new Sentinel{nullptr, true, shared(env)};
  napi_value buffer;
  if (napi_create_external_arraybuffer(env, newest, sizeof(Sentinel), finalize, newest, &buffer) != napi_ok) return;
  napi_create_reference(env, buffer, 1, &newest->buffer);
  if (sentinel != nullptr) {
    sentinel->isNewest = false;
    napi_reference_unref(env, sentinel->buffer, nullptr);
  }
  sentinel = newest;
}

void Owned::release(napi_env env) {
  if (isReleased_) return;
  isReleased_ = true;
  environment_->remove(this);
  free(env);
}

bool own(napi_env env, napi_value owner, Owned* object, const napi_type_tag& tag) {
  const auto finalize = [](napi_env env, void* data, void*) {
    Owned* const object = static_cast<Owned*>(data);
    object->release(env);
    napi_delete_reference(env, object->owner_);
    delete object;
  };
  object->environment_ = Environment::shared(env);
  if (napi_wrap(env, owner, object, finalize, nullptr, &object->owner_) != napi_ok) {
    delete object;
    return false;
  }
  object->environment_->add(object);
  return napi_type_tag_object(env, owner, &tag) == napi_ok;
}

Owned* ownedBy(napi_env env, napi_value value, const napi_type_tag& tag) {
  bool isTagged = false;
  void* object = nullptr;
  if (napi_check_object_type_tag(env, value, &tag, &isTagged) != napi_ok || !isTagged ||
      napi_unwrap(env, value, &object) != napi_ok)
    return nullptr;
  return static_cast<Owned*>(object);
}

bool createBuffer(napi_env env, const void* block, size_t bytes, napi_value* buffer) {
  // Node 20 rejects larger buffers, but runs the finalizer anyway.
  constexpr size_t kMaxBytes = size_t{1} << 32;
  const std::shared_ptr<Environment> environment = Environment::shared(env);
  if (bytes > kMaxBytes) return false;
  using Shared = std::shared_ptr<Buffer>;
  const auto finalize = [](napi_env, void*, void* hint) {
    Shared* const buffer = static_cast<Shared*>(hint);
    if (!(*buffer)->isMoved) allocator::release((*buffer)->block);
    (*buffer)->isFinalized = true;
    delete buffer;
  };
  const Shared record(new Buffer{block, bytes, nullptr, {false}, false});
  Shared* const hint = new Shared(record);
  allocator::retain(block);
  const napi_status status =
      napi_create_external_arraybuffer(env, const_cast<void*>(block), bytes, finalize, hint, buffer);
  if (status != napi_ok) {
    // Electron and other builds with a memory cage allow no external buffers, and do not run the finalizer.
    if (status == napi_no_external_buffers_allowed) {
      allocator::release(block);
      delete hint;
    }
    return false;
  }
  napi_create_reference(env, *buffer, 0, &record->buffer);
  environment->buffers.push_back(record);
  environment->watchEnd();
  return true;
}

bool isWaiting(napi_env env) { return Environment::of(env)->waitingBytes > kMaxWaitingBytes; }

void willAllocate(napi_env env, size_t bytes) {
  Environment* const environment = Environment::of(env);
  environment->newBytes += bytes;
  const size_t count = environment->owned.size() + environment->buffers.size();
  if (environment->newBytes >= environment->bytes || count >= environment->nextCount) environment->look();
}

bool initOwnership(napi_env env) {
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Environment>*>(data); };
  auto environment = std::make_shared<Environment>();
  environment->env = env;
  const napi_node_version* version = nullptr;
  environment->finalizesMoved =
      napi_get_node_version(env, &version) == napi_ok && strcmp(version->release, "node") == 0;  // not in Deno
  return napi_set_instance_data(env, new std::shared_ptr<Environment>(environment), finalize, nullptr) == napi_ok;
}
