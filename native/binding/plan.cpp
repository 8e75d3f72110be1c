// A plan is a JavaScript function. A call is one step, which allocates and converts nothing.
#include "plan.h"

#include <memory>
#include <string>
#include <vector>

#include "../engine/roots.h"
#include "bound_plan.h"
#include "call.h"
#include "memory.h"
#include "ownership.h"

namespace {
constexpr napi_type_tag kPlanTag = {0x5c4c5c9a0f3b4c1eULL, 0x9d2b7a61e0f84437ULL};
constexpr size_t kMaxTensors = size_t{1} << 24;
constexpr size_t kMaxSide = size_t{1} << 20;

/// What the step function owns. A step on another thread shares the plan.
struct PlanOwner : public Owned {
  std::shared_ptr<BoundPlan> plan;

 protected:
  void free(napi_env env) override {
    plan->clear(env);
    plan = nullptr;
  }
};

void fail(napi_env env, const std::string& message) { throwTypeError(env, "schuss: " + message); }

/// Registers the gradient of a tensor. Most loops have new arrays in every step, so it must not search for the plan.
napi_value setGrad(napi_env env, napi_callback_info info, BoundPlan& plan) {
  Call call(env, info);
  size_t index;
  Floats grad;
  if (!call.integer(0, "index", kMaxTensors, &index) || !call.floats(1, "grad", &grad)) return nullptr;
  if (plan.isBusy() || index >= plan.plan().size() || grad.length != plan.plan().length(index)) {
    fail(env, plan.isBusy()                 ? "a step of this plan runs on another thread"
              : index >= plan.plan().size() ? "no such tensor"
                                            : "a gradient of another length than its param");
    return nullptr;
  }
  plan.watchGrad(env, index, call.value(1), grad.data, grad.length);
  plan.plan().setGrad(index, grad.data);
  return toNumber(env, static_cast<double>(reinterpret_cast<uintptr_t>(grad.data)));
}

// plan() => undefined: one step. plan(true), or any one argument => the same, for a caller that has just seen that all
// params and gradients have the lengths that they were registered with. plan(index, grad) => the address of the
// gradient, which it registers
napi_value callPlan(napi_env env, napi_callback_info info) {
  size_t count = 0;
  void* data;
  if (napi_get_cb_info(env, info, &count, nullptr, nullptr, &data) != napi_ok) return nullptr;
  BoundPlan* const plan = static_cast<PlanOwner*>(data)->plan.get();
  if (plan != nullptr && count > 1) return setGrad(env, info, *plan);
  const BoundPlan::Look look = count == 1 ? BoundPlan::Look::kDone : BoundPlan::Look::kNeeded;
  const char* const error = plan == nullptr ? "the plan was freed" : plan->step(env, look);
  if (error != nullptr) fail(env, error);
  return nullptr;
}

// createPlan(count, stride, memory: Float32Array, numberCount = 0) => a plan, see callPlan. `memory` is shared with
// JavaScript
napi_value createPlan(napi_env env, napi_callback_info info) {
  Call call(env, info);
  size_t count, stride, numberCount = 0;
  Floats memory;
  if (!call.integer(0, "count", kMaxTensors, &count) ||
      !call.integer(1, "stride", kPassFloats + kMaxConstants, &stride) || !call.floats(2, "memory", &memory) ||
      (!call.isUndefined(3) && !call.integer(3, "numberCount", kMaxNumbers, &numberCount)))
    return nullptr;
  if (stride < kPassFloats || memory.length < BoundPlan::floatsFor(count, stride, numberCount) ||
      reinterpret_cast<uintptr_t>(memory.data) % alignof(Control) != 0) {
    fail(env, "createPlan: the shared memory is of the wrong size");
    return nullptr;
  }
  willAllocate(env, count * sizeof(Tensor));
  auto owner = std::make_unique<PlanOwner>();
  owner->plan = std::make_shared<BoundPlan>(call.set(), count, stride, numberCount, memory.data);
  napi_value function;
  if (napi_create_function(env, "step", NAPI_AUTO_LENGTH, guarded<callPlan>, owner.get(), &function) != napi_ok)
    return nullptr;
  owner->plan->watchMemory(env, call.value(2), memory.data, memory.length);
  return own(env, function, owner.release(), kPlanTag) ? function : nullptr;
}

/// The plan of a step function, which must not be busy.
std::shared_ptr<BoundPlan> planOf(const Call& call) {
  PlanOwner* const owner = static_cast<PlanOwner*>(ownedBy(call.env(), call.value(0), kPlanTag));
  if (owner == nullptr || owner->plan == nullptr) {
    fail(call.env(), "not a plan, or one that was freed");
    return nullptr;
  }
  if (owner->plan->isBusy()) {
    fail(call.env(), "a step of this plan runs on another thread");
    return nullptr;
  }
  return owner->plan;
}

/// The plan of a step function, and the index of one of its tensors.
std::shared_ptr<BoundPlan> planOf(Call& call, size_t* index) {
  std::shared_ptr<BoundPlan> plan = planOf(call);
  if (plan == nullptr || !call.integer(1, "index", kMaxTensors, index)) return nullptr;
  if (*index < plan->plan().size()) return plan;
  fail(call.env(), "no such tensor");
  return nullptr;
}

const Kernel* kernelOf(const KernelSet& set, const std::string& name) {
  for (size_t i = 0; i < set.count; ++i) {
    if (name == set.kernels[i].name) return &set.kernels[i];
  }
  return nullptr;
}

/// The memory of state: a block, or a Float32Array.
struct State {
  float* data;
  size_t length;
  bool isBlock;
};

bool readState(napi_env env, napi_value value, State* out) {
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  if (readTypedArray(env, value, &type, &data, &out->length) && type == napi_float32_array) {
    out->data = static_cast<float*>(data);
    out->isBlock = false;
    return true;
  }
  const Block* const block = Block::of(env, value);
  if (block == nullptr) return false;
  *out = {block->data(), block->length(), true};
  return true;
}

// setTensor(plan, index, kernel, param, state, ema, columns, side, firstElement?). `state` is a list of blocks or
// Float32Arrays, `ema` one or null. `columns` is the length of a matrix row of the param, if the kernel sees rows or
// columns; `side` is that of MatrixShape, if it has state of other lengths. With `firstElement`, the state is in
// bfloat16: two numbers in each float. Then it is the index of the first element in the whole param
napi_value setTensor(napi_env env, napi_callback_info info) {
  Call call(env, info);
  size_t index, columns, side = 0, firstElement = 0;
  std::string name;
  std::vector<napi_value> state;
  const bool isHalf = !call.isUndefined(8);
  if (!call.text(2, "kernel", &name) || !call.list(4, "state", &state) ||
      !call.integer(6, "columns", SIZE_MAX, &columns) ||
      (!call.isUndefined(7) && !call.integer(7, "side", kMaxSide, &side)) ||
      (isHalf && !call.integer(8, "firstElement", SIZE_MAX, &firstElement)))
    return nullptr;
  // No JavaScript runs from here on.
  const std::shared_ptr<BoundPlan> plan = planOf(call, &index);
  Floats param;
  if (plan == nullptr || !call.floats(3, "param", &param)) return nullptr;
  const Kernel* const kernel = kernelOf(plan->plan().set(), name);
  if (kernel == nullptr) {
    fail(env, "no kernel " + name);
    return nullptr;
  }
  if (state.size() != kernel->stateCount) {
    fail(env, name + ": another number of state blocks");
    return nullptr;
  }
  if (kernel->constantCount > plan->plan().constantCount()) {
    fail(env, name + ": has more constants than a row of the plan");
    return nullptr;
  }
  if (kernel->numberCount > plan->plan().numberCount()) {
    fail(env, name + ": has more numbers than a scope of the plan");
    return nullptr;
  }
  const bool needsRows = kernel->perRow || kernel->layout[0] != kElement || kernel->transform != nullptr;
  if (needsRows && (columns == 0 ? param.length > 0 : param.length % columns != 0)) {
    fail(env, name + ": needs whole rows");
    return nullptr;
  }
  if (kernel->ownLength != nullptr && side == 0) {
    fail(env, name + ": needs a side");
    return nullptr;
  }
  if (isHalf && kernel->runHalves == nullptr) {
    fail(env, name + ": takes no state in bfloat16");
    return nullptr;
  }
  Span span = {};
  span.param = param.data;
  span.length = param.length;
  std::vector<State> memory(state.size());
  const size_t rows = columns == 0 ? 0 : param.length / columns;
  const size_t lengths[] = {param.length, rows, columns};  // indexed by Layout
  for (size_t s = 0; s < state.size(); ++s) {
    if (!readState(env, state[s], &memory[s])) return nullptr;
    const bool isOwn = kernel->layout[s] == kOwn;
    if (isHalf
            ? memory[s].length < (param.length + 1) / 2
            : memory[s].length < (isOwn ? kernel->ownLength(s, {rows, columns, side}) : lengths[kernel->layout[s]])) {
      fail(env, name + ": state too short for its param");
      return nullptr;
    }
    span.state[s] = memory[s].data;
  }
  napi_valuetype emaType = napi_undefined;
  napi_typeof(env, call.value(5), &emaType);
  if (emaType != napi_null) {
    state.push_back(call.value(5));
    memory.emplace_back();
    if (!readState(env, state.back(), &memory.back())) return nullptr;
    if (memory.back().length != param.length) {
      fail(env, name + ": an ema of another length than its param");
      return nullptr;
    }
    span.ema = memory.back().data;
  }
  const bool mayUseFma = span.length >= kMinForRoots && !isHalf;
  plan->plan().setTensor(index, mayUseFma ? withFasterRoots(kernel) : kernel, span, columns, side);
  plan->watchParam(env, index, call.value(3), param.data, param.length);
  for (size_t s = 0; s < memory.size(); ++s) {
    if (memory[s].isBlock) {
      plan->retainBlock(index, memory[s].data);
    } else {
      plan->watchState(env, index, state[s], memory[s].data, memory[s].length);
    }
  }
  if (isHalf) plan->plan().setHalves(index, firstElement);
  return nullptr;
}

// setRowGrad(plan, index, rows: Int32Array | Uint32Array, values) => the address of values
napi_value setRowGrad(napi_env env, napi_callback_info info) {
  Call call(env, info);
  size_t index, count;
  const uint32_t* rows;
  Floats values;
  const std::shared_ptr<BoundPlan> plan = planOf(call, &index);
  if (plan == nullptr || !call.rows(2, "rows", &rows, &count) || !call.floats(3, "values", &values)) return nullptr;
  const size_t rowLength = count == 0 ? 0 : values.length / count;
  if (count == 0 ? values.length > 0 : rowLength == 0 || values.length % count != 0) {
    fail(env, "values that are no whole rows");
    return nullptr;
  }
  if (count > 0 && !plan->plan().takesRows(index, rowLength)) {
    fail(env, "a sparse gradient that does not fit its param");
    return nullptr;
  }
  plan->watchGrad(env, index, call.value(3), values.data, values.length);
  plan->watchRows(env, index, call.value(2), rows, count);
  plan->plan().setSparseGrad(index, {rows, count, values.data, rowLength});
  return toNumber(env, static_cast<double>(reinterpret_cast<uintptr_t>(values.data)));
}

/// The sums of a half of a step: kMaxSums doubles for each tensor.
bool readSums(const Call& call, const Plan& plan, double** out) {
  linalg::Vector sums;
  size_t length = 0;
  if (!readVector(call.env(), call.value(1), "sums", &sums, &length)) return false;
  *out = static_cast<double*>(sums.data);
  if (sums.element == kDouble && length == kMaxSums * plan.size()) return true;
  fail(call.env(), "sums: not a Float64Array of the length of the plan");
  return false;
}

// measureSums(plan, sums: Float64Array): the first half of a step, which fills `sums`
napi_value measureSums(napi_env env, napi_callback_info info) {
  Call call(env, info);
  const std::shared_ptr<BoundPlan> plan = planOf(call);
  double* sums = nullptr;
  if (plan == nullptr || !readSums(call, plan->plan(), &sums)) return nullptr;
  const char* const error = plan->measureSums(env, sums);
  if (error != nullptr) fail(env, error);
  return nullptr;
}

// stepWithSums(plan, sums: Float64Array): the second half, after the sums of other plans were added
napi_value stepWithSums(napi_env env, napi_callback_info info) {
  Call call(env, info);
  const std::shared_ptr<BoundPlan> plan = planOf(call);
  double* sums = nullptr;
  if (plan == nullptr || !readSums(call, plan->plan(), &sums)) return nullptr;
  const char* const error = plan->stepWithSums(env, sums);
  if (error != nullptr) fail(env, error);
  return nullptr;
}

/// A step on a thread of the runtime's pool. The plan keeps the memory alive.
struct AsyncStep {
  napi_async_work work;
  napi_ref function, done;
  std::shared_ptr<BoundPlan> plan;
};

void executeStep(napi_env, void* data) { static_cast<AsyncStep*>(data)->plan->run(); }

void destroy(napi_env env, AsyncStep* step) {
  step->plan->releaseArrays();
  step->plan->setBusy(false);
  if (step->function != nullptr) napi_delete_reference(env, step->function);
  if (step->done != nullptr) napi_delete_reference(env, step->done);
  if (step->work != nullptr) napi_delete_async_work(env, step->work);
  delete step;
}

void completeStep(napi_env env, napi_status, void* data) {
  AsyncStep* const step = static_cast<AsyncStep*>(data);
  napi_value done = nullptr, global = nullptr;
  napi_get_reference_value(env, step->done, &done);
  napi_get_global(env, &global);
  destroy(env, step);
  // `done` is missing if the worker thread was terminated: it runs no more JavaScript.
  if (done != nullptr && global != nullptr) napi_call_function(env, global, done, 0, nullptr, nullptr);
}

// stepAsync(plan, done: () => void) => whether the step has run: it runs here if it is small, or if JavaScript can free
// or move some of the memory. If not, it runs on another thread, and `done` is called when it has finished
napi_value stepAsync(napi_env env, napi_callback_info info) {
  Call call(env, info);
  const std::shared_ptr<BoundPlan> plan = planOf(call);
  if (plan == nullptr) return nullptr;
  napi_valuetype type = napi_undefined;
  if (napi_typeof(env, call.value(1), &type) != napi_ok || type != napi_function) {
    fail(env, "done: not a function");
    return nullptr;
  }
  const char* const error = plan->check(env);
  if (error != nullptr) {
    fail(env, error);
    return nullptr;
  }
  if (plan->plan().isSmall() || plan->retainArrays(env)) {
    plan->releaseArrays();
    plan->run();
    return toBoolean(env, true);
  }
  auto step = std::make_unique<AsyncStep>();
  step->plan = plan;
  plan->setBusy(true);
  napi_value name;
  const bool isQueued =
      napi_create_string_utf8(env, "schuss.stepAsync", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_reference(env, call.value(0), 1, &step->function) == napi_ok &&
      napi_create_reference(env, call.value(1), 1, &step->done) == napi_ok &&
      napi_create_async_work(env, nullptr, name, executeStep, completeStep, step.get(), &step->work) == napi_ok &&
      napi_queue_async_work(env, step->work) == napi_ok;
  if (isQueued) {
    step.release();
    return toBoolean(env, false);
  }
  destroy(env, step.release());
  fail(env, "stepAsync: the runtime takes no work");
  return nullptr;
}

// freePlan(plan): frees its memory now. A second call does nothing
napi_value freePlan(napi_env env, napi_callback_info info) {
  Call call(env, info);
  PlanOwner* const owner = static_cast<PlanOwner*>(ownedBy(env, call.value(0), kPlanTag));
  if (owner == nullptr || owner->plan == nullptr || planOf(call) == nullptr) return nullptr;
  owner->release(env);
  return nullptr;
}
}  // namespace

void definePlan(napi_env env, napi_value exports, const KernelSet& set) {
  const NamedFunction functions[] = {
      {"createPlan", guarded<createPlan>},     {"setTensor", guarded<setTensor>}, {"setRowGrad", guarded<setRowGrad>},
      {"stepAsync", guarded<stepAsync>},       {"freePlan", guarded<freePlan>},   {"measureSums", guarded<measureSums>},
      {"stepWithSums", guarded<stepWithSums>},
  };
  defineFunctions(env, exports, functions, &set);
}
