// A plan is a JavaScript function. A call is one step, which allocates and converts nothing. The plan holds addresses
// of arrays. The caller, lib/core, keeps those arrays alive and checks their lengths before every step.
#include "plan.h"

#include <stdint.h>

#include <string>
#include <vector>

#include "../engine/allocator.h"
#include "../engine/plan.h"
#include "buffers.h"

namespace {
constexpr napi_type_tag kPlanTag = {0x5c4c5c9a0f3b4c1eULL, 0x9d2b7a61e0f84437ULL};

napi_value step(napi_env env, napi_callback_info info) {
  void* data;
  if (napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data) == napi_ok) static_cast<Plan*>(data)->step();
  return nullptr;
}

void fail(Napi::Env env, const std::string& message) {
  if (env.IsExceptionPending()) return;  // a second exception would be fatal
  Napi::Error::New(env, "schuss: " + message).ThrowAsJavaScriptException();
}

const KernelSet& setOf(const Napi::CallbackInfo& info) { return *static_cast<const KernelSet*>(info.Data()); }

// createPlan(count, control: Float64Array, rows: Float32Array, stride, rowOf: Int32Array) => () => void
Napi::Value createPlan(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const size_t count = info[0].As<Napi::Number>().Uint32Value(), stride = info[3].As<Napi::Number>().Uint32Value();
  double* control;
  int32_t* rowOf;
  size_t controls, indices;
  Floats rows;
  if (!toDoubles(info[1], "control", &control, &controls) || !toFloats(info[2], "rows", &rows) ||
      !toInts(info[4], "rowOf", &rowOf, &indices)) {
    return env.Undefined();
  }
  if (controls < kControlDoubles || indices < count || stride < kPassFloats || stride > kPassFloats + kMaxConstants ||
      rows.length < count * stride) {
    fail(env, "createPlan: the shared blocks are of the wrong size");
    return env.Undefined();
  }
  Plan* plan = new Plan(setOf(info), count, {reinterpret_cast<Control*>(control), rows.data, stride, rowOf});
  napi_value function;
  napi_create_function(env, "step", NAPI_AUTO_LENGTH, step, plan, &function);
  napi_wrap(
      env, function, plan, [](napi_env, void* data, void*) { delete static_cast<Plan*>(data); }, nullptr, nullptr);
  napi_type_tag_object(env, function, &kPlanTag);
  return Napi::Value(env, function);
}

// The plan of a step function.
Plan* planOf(const Napi::CallbackInfo& info) {
  bool isPlan = false;
  void* plan = nullptr;
  if (napi_check_object_type_tag(info.Env(), info[0], &kPlanTag, &isPlan) != napi_ok || !isPlan ||
      napi_unwrap(info.Env(), info[0], &plan) != napi_ok) {
    fail(info.Env(), "not a plan");
    return nullptr;
  }
  return static_cast<Plan*>(plan);
}

// The plan of a step function, and the index of one of its tensors.
Plan* planOf(const Napi::CallbackInfo& info, size_t* index) {
  Plan* const plan = planOf(info);
  if (plan == nullptr) return nullptr;
  *index = info[1].As<Napi::Number>().Uint32Value();
  if (*index < plan->size()) return plan;
  fail(info.Env(), "no such tensor");
  return nullptr;
}

// setTensor(plan, index, kernel, param, state: Float32Array[], ema: Float32Array | null, columns). `columns` is the
// length of a matrix row of the param, if the kernel has state of rows or columns
Napi::Value setTensor(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  size_t index;
  Plan* plan = planOf(info, &index);
  if (plan == nullptr) return env.Undefined();
  const std::string name = info[2].As<Napi::String>().Utf8Value();
  const Kernel* kernel = nullptr;
  for (size_t i = 0; i < plan->set().count; ++i) {
    if (name == plan->set().kernels[i].name) kernel = &plan->set().kernels[i];
  }
  if (kernel == nullptr) {
    fail(env, "no kernel " + name);
    return env.Undefined();
  }
  Floats param, part;
  if (!toFloats(info[3], "param", &param)) return env.Undefined();
  Span span = {};
  span.param = param.data;
  span.length = param.length;
  const size_t columns = info[6].As<Napi::Number>().Uint32Value();
  if (kernel->layout[0] != kElement && (columns == 0 ? param.length > 0 : param.length % columns != 0)) {
    fail(env, name + ": needs whole rows");
    return env.Undefined();
  }
  const size_t lengths[] = {param.length, columns == 0 ? 0 : param.length / columns, columns};  // indexed by Layout
  const Napi::Array state = info[4].As<Napi::Array>();
  if (state.Length() > kMaxState) {
    fail(env, name + ": too many state buffers");
    return env.Undefined();
  }
  for (uint32_t s = 0; s < state.Length(); ++s) {
    if (!toFloats(state.Get(s), "state", &part)) return env.Undefined();
    if (part.length < lengths[kernel->layout[s]]) {
      fail(env, name + ": a state buffer too short for its param");
      return env.Undefined();
    }
    span.state[s] = part.data;
  }
  if (!info[5].IsNull()) {
    if (!toFloats(info[5], "ema", &part)) return env.Undefined();
    if (part.length != param.length) {
      fail(env, name + ": an ema of another length than its param");
      return env.Undefined();
    }
    span.ema = part.data;
  }
  plan->setTensor(index, kernel, span, columns);
  return env.Undefined();
}

// setGrad(plan, index, grad) => its address
Napi::Value setGrad(const Napi::CallbackInfo& info) {
  size_t index;
  Floats grad;
  Plan* plan = planOf(info, &index);
  if (plan == nullptr || !toFloats(info[2], "grad", &grad)) return info.Env().Undefined();
  if (grad.length != plan->length(index)) {
    fail(info.Env(), "a gradient of another length than its param");
    return info.Env().Undefined();
  }
  plan->setGrad(index, grad.data);
  return Napi::Number::New(info.Env(), static_cast<double>(reinterpret_cast<uintptr_t>(grad.data)));
}

// setRowGrad(plan, index, rows: Int32Array | Uint32Array, values) => the address of values
Napi::Value setRowGrad(const Napi::CallbackInfo& info) {
  size_t index, count;
  const uint32_t* rows;
  Floats values;
  Plan* plan = planOf(info, &index);
  if (plan == nullptr || !toRows(info[2], "rows", &rows, &count) || !toFloats(info[3], "values", &values)) {
    return info.Env().Undefined();
  }
  if (count == 0 ? values.length > 0 : values.length % count != 0) {
    fail(info.Env(), "values that are no whole rows");
    return info.Env().Undefined();
  }
  plan->setSparseGrad(index, {rows, count, values.data, count == 0 ? 0 : values.length / count});
  return Napi::Number::New(info.Env(), static_cast<double>(reinterpret_cast<uintptr_t>(values.data)));
}

// A step on a thread of the runtime's pool. References keep the plan alive, and the closure `done`, which keeps the
// arrays alive. Blocks of the allocator are retained as well, because JavaScript may transfer an array over them
// meanwhile.
struct AsyncStep {
  napi_async_work work;
  napi_ref function, done;
  Plan* plan;
  std::vector<const void*> retained;
};

void executeStep(napi_env, void* data) { static_cast<AsyncStep*>(data)->plan->step(); }

void completeStep(napi_env env, napi_status, void* data) {
  AsyncStep* const step = static_cast<AsyncStep*>(data);
  for (const void* block : step->retained) allocator::release(block);
  napi_value done = nullptr, global = nullptr;
  napi_get_reference_value(env, step->done, &done);
  napi_get_global(env, &global);
  napi_delete_reference(env, step->function);
  napi_delete_reference(env, step->done);
  napi_delete_async_work(env, step->work);
  delete step;
  // `done` is missing if the worker thread was terminated: it runs no more JavaScript.
  if (done != nullptr && global != nullptr) napi_call_function(env, global, done, 0, nullptr, nullptr);
}

// stepAsync(plan, done: () => void): starts a step on another thread. Calls `done` when it has finished
Napi::Value stepAsync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Plan* const plan = planOf(info);
  if (plan == nullptr) return env.Undefined();
  AsyncStep* const step = new AsyncStep{nullptr, nullptr, nullptr, plan, {}};
  plan->forEachPointer([step](const void* memory) {
    if (memory != nullptr && allocator::retain(memory)) step->retained.push_back(memory);
  });
  const bool isQueued = napi_create_reference(env, info[0], 1, &step->function) == napi_ok &&
                        napi_create_reference(env, info[1], 1, &step->done) == napi_ok &&
                        napi_create_async_work(env, nullptr, Napi::String::New(env, "schuss.stepAsync"), executeStep,
                                               completeStep, step, &step->work) == napi_ok &&
                        napi_queue_async_work(env, step->work) == napi_ok;
  if (!isQueued) {
    for (const void* block : step->retained) allocator::release(block);
    if (step->function != nullptr) napi_delete_reference(env, step->function);
    if (step->done != nullptr) napi_delete_reference(env, step->done);
    if (step->work != nullptr) napi_delete_async_work(env, step->work);
    delete step;
    fail(env, "stepAsync: the runtime takes no work");
  }
  return env.Undefined();
}
}  // namespace

void definePlan(Napi::Env env, Napi::Object exports, const KernelSet& set) {
  void* data = const_cast<KernelSet*>(&set);
  exports.Set("createPlan", Napi::Function::New(env, createPlan, "createPlan", data));
  exports.Set("setTensor", Napi::Function::New(env, setTensor, "setTensor", data));
  exports.Set("setGrad", Napi::Function::New(env, setGrad, "setGrad", data));
  exports.Set("setRowGrad", Napi::Function::New(env, setRowGrad, "setRowGrad", data));
  exports.Set("stepAsync", Napi::Function::New(env, stepAsync, "stepAsync", data));
}
