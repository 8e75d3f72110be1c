#pragma once
#include <node_api.h>
#include <stddef.h>

#include <atomic>
#include <string>
#include <vector>

#include "../engine/plan.h"

/// A plan together with what keeps its memory valid. Blocks of the allocator are retained. Arrays of JavaScript are
/// referenced, and looked at again at every step: JavaScript may have detached or resized one since.
class BoundPlan {
 public:
  /// `memory` holds the control block, the constants rows and the row numbers, see `floatsFor`.
  BoundPlan(const KernelSet& set, size_t count, size_t stride, size_t numberCount, float* memory);
  BoundPlan(const BoundPlan&) = delete;
  BoundPlan& operator=(const BoundPlan&) = delete;

  /// Length of `memory` in floats: a Control, `numberCount` numbers for each of `count` scopes, `count` rows of
  /// `stride` constants, `count` row numbers and, if there are numbers, the scope of each tensor.
  static size_t floatsFor(size_t count, size_t stride, size_t numberCount);

  Plan& plan() { return plan_; }
  /// Whether a step runs on another thread. Nothing may change meanwhile.
  bool isBusy() const { return isBusy_; }
  void setBusy(bool isBusy) { isBusy_ = isBusy; }

  void watchMemory(napi_env env, napi_value array, const float* data, size_t length);
  /// Replaces the param of a tensor, and forgets its state and gradient.
  void watchParam(napi_env env, size_t i, napi_value array, const float* data, size_t length);
  void watchState(napi_env env, size_t i, napi_value array, const float* data, size_t length);
  void retainBlock(size_t i, const void* block);
  void watchGrad(napi_env env, size_t i, napi_value array, const void* data, size_t length);
  void watchRows(napi_env env, size_t i, napi_value array, const void* data, size_t length);

  /// Whether the caller has just looked at the lengths of all params and gradients. To look here takes longer.
  enum class Look { kNeeded, kDone };

  /// Runs a step, unless the memory of a tensor is gone: then it writes the fault to the control block. Returns an
  /// error for a plan that is not ready, or null.
  const char* step(napi_env env, Look look = Look::kNeeded);
  /// The same for the two halves of a step: `sums` are kMaxSums doubles a tensor.
  const char* measureSums(napi_env env, double* sums);
  const char* stepWithSums(napi_env env, const double* sums);

  /// The two halves of a step on another thread. Call `check` first, on JavaScript's thread.
  const char* check(napi_env env, Look look = Look::kNeeded);
  void run();

  /// Whether JavaScript can free or move some memory of the next step. Retains the blocks of all other arrays.
  bool retainArrays(napi_env env);
  void releaseArrays();

  /// Drops all references.
  void clear(napi_env env);

 private:
  /// An array of JavaScript.
  struct Watch {
    napi_ref array = nullptr;
    const void* data = nullptr;
    size_t length = 0;

    void set(napi_env env, napi_value value, const void* memory, size_t count);
    void clear(napi_env env);
    bool isValid(napi_env env) const;
    bool isShared(napi_env env) const;
  };
  struct Watches {
    Watch param, grad, rows;
    std::vector<Watch> state;
    std::vector<const void*> blocks;

    void clear(napi_env env);
    bool isValid(napi_env env, bool isActive, Look look) const;
  };

  template <class Work>
  void runUnlessFaulty(Work work);

  Plan plan_;
  Control* control_;
  Watch memory_;
  std::vector<Watches> tensors_;
  std::vector<const void*> retained_;
  std::atomic<bool> isBusy_{false};
};
