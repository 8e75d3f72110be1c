// The exports of the addon: `isas`, `engine(isa)` with the functions of one instruction set, and functions for threads
// and memory. The addon has no global JavaScript state, so several worker threads may load it.
#include <napi.h>

#include <string>

#include "../engine/dispatch.h"
#include "../engine/parallel.h"
#include "../engine/plan.h"
#include "buffers.h"
#include "linalg.h"
#include "plan.h"

namespace {
const KernelSet& setOf(const Napi::CallbackInfo& info) { return *static_cast<const KernelSet*>(info.Data()); }

// sumSquares(x) => number
Napi::Value sumSquaresOf(const Napi::CallbackInfo& info) {
  Floats x;
  if (!toFloats(info[0], "x", &x)) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), sumSquares(setOf(info), x.data, x.length));
}

// lerp(target, source, rate)
Napi::Value lerp(const Napi::CallbackInfo& info) {
  Floats target, source;
  if (!toFloats(info[0], "target", &target) || !toFloats(info[1], "source", &source)) return info.Env().Undefined();
  const size_t length = target.length < source.length ? target.length : source.length;
  setOf(info).lerp(target.data, source.data, info[2].As<Napi::Number>().FloatValue(), length);
  return info.Env().Undefined();
}

// add(target, source): target = target + source
Napi::Value add(const Napi::CallbackInfo& info) {
  Floats target, source;
  if (!toFloats(info[0], "target", &target) || !toFloats(info[1], "source", &source)) return info.Env().Undefined();
  setOf(info).add(target.data, source.data, target.length < source.length ? target.length : source.length);
  return info.Env().Undefined();
}

// scale(x, factor): x = factor * x
Napi::Value scale(const Napi::CallbackInfo& info) {
  Floats x;
  if (!toFloats(info[0], "x", &x)) return info.Env().Undefined();
  setOf(info).scale(x.data, info[1].As<Napi::Number>().FloatValue(), x.length);
  return info.Env().Undefined();
}

Napi::Array describe(Napi::Env env, const KernelSet& set) {
  Napi::Array kernels = Napi::Array::New(env, set.count);
  for (size_t i = 0; i < set.count; ++i) {
    Napi::Object kernel = Napi::Object::New(env);
    kernel.Set("name", set.kernels[i].name);
    kernel.Set("state", set.kernels[i].state);
    kernel.Set("constants", set.kernels[i].constants);
    Napi::Array layout = Napi::Array::New(env, kMaxState);
    static const char* const words[] = {"element", "row", "column"};  // indexed by Layout
    for (uint32_t s = 0; s < kMaxState; ++s) layout.Set(s, words[set.kernels[i].layout[s]]);
    kernel.Set("layout", layout);
    kernel.Set("perRow", set.kernels[i].perRow);
    kernel.Set("norms", set.kernels[i].measure != nullptr);
    kernels.Set(static_cast<uint32_t>(i), kernel);
  }
  return kernels;
}

// engine(isa) => { kernels, sumSquares, lerp, add, scale, and the functions of definePlan and defineLinalg }; undefined
// if this build or this CPU lacks the instruction set
Napi::Value engine(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string isa = info[0].As<Napi::String>().Utf8Value();
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  for (size_t i = 0; i < count; ++i) {
    if (isa != sets[i]->isa) continue;
    void* data = const_cast<KernelSet*>(sets[i]);
    Napi::Object result = Napi::Object::New(env);
    result.Set("kernels", describe(env, *sets[i]));
    result.Set("sumSquares", Napi::Function::New(env, sumSquaresOf, "sumSquares", data));
    result.Set("lerp", Napi::Function::New(env, lerp, "lerp", data));
    result.Set("add", Napi::Function::New(env, add, "add", data));
    result.Set("scale", Napi::Function::New(env, scale, "scale", data));
    definePlan(env, result, *sets[i]);
    defineLinalg(env, result, *sets[i]);
    return result;
  }
  return env.Undefined();
}

// setThreads(n, always): for the whole process
void setThreads(const Napi::CallbackInfo& info) {
  parallel::setThreads(info[0].As<Napi::Number>().Uint32Value(), info[1].ToBoolean());
}

// threads() => number; 0 until it is set
Napi::Value threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(parallel::threads()));
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  Napi::Array isas = Napi::Array::New(env, count);
  for (size_t i = 0; i < count; ++i) isas.Set(static_cast<uint32_t>(i), sets[i]->isa);
  exports.Set("isas", isas);
  exports.Set("engine", Napi::Function::New(env, engine, "engine"));
  exports.Set("setThreads", Napi::Function::New(env, setThreads, "setThreads"));
  exports.Set("threads", Napi::Function::New(env, threads, "threads"));
  exports.Set("allocate", Napi::Function::New(env, allocate, "allocate"));
  exports.Set("address", Napi::Function::New(env, address, "address"));
  exports.Set("useLargePages", Napi::Function::New(env, useLargePages, "useLargePages"));
  exports.Set("owns", Napi::Function::New(env, owns, "owns"));
  parallel::retain();
  env.AddCleanupHook([] { parallel::release(); });
  return exports;
}
}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, init)
