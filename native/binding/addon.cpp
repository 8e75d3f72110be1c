// The exports of the addon: `isas`, `engine(isa)` with the functions of one instruction set, and functions for threads
// and memory. The addon has no global JavaScript state, so several worker threads may load it.
#include <napi.h>

#include <algorithm>
#include <string>

#include "../engine/dispatch.h"
#include "../engine/parallel.h"
#include "../engine/plan.h"
#include "call.h"
#include "eigen.h"
#include "linalg.h"
#include "matmul.h"
#include "memory.h"
#include "ownership.h"
#include "plan.h"
#include "table_rows.h"

namespace {
// sumSquares(x) => number
napi_value sumSquaresOf(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Floats x;
  if (!call.floats(0, "x", &x)) return nullptr;
  return toNumber(env, sumSquares(call.set(), x.data, x.length));
}

size_t shorter(const Floats& a, const Floats& b) { return a.length < b.length ? a.length : b.length; }

// lerp(target, source, rate)
napi_value lerp(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Floats target, source;
  double rate;
  if (!call.number(2, "rate", &rate) || !call.floats(0, "target", &target) || !call.floats(1, "source", &source))
    return nullptr;
  call.set().lerp(target.data, source.data, static_cast<float>(rate), shorter(target, source));
  return nullptr;
}

// add(target, source): target = target + source
napi_value add(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Floats target, source;
  if (!call.floats(0, "target", &target) || !call.floats(1, "source", &source)) return nullptr;
  call.set().add(target.data, source.data, shorter(target, source));
  return nullptr;
}

// scale(x, factor): x = factor * x
napi_value scale(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Floats x;
  double factor;
  if (!call.number(1, "factor", &factor) || !call.floats(0, "x", &x)) return nullptr;
  call.set().scale(x.data, static_cast<float>(factor), x.length);
  return nullptr;
}

// compress(x, residual, factor, rounded, rest): rounded = x + factor * residual as bfloat16; rest = what is lost
napi_value compress(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Floats x, residual, rest;
  Halves rounded;
  double factor;
  if (!call.number(2, "factor", &factor) || !call.floats(0, "x", &x) || !call.floats(1, "residual", &residual) ||
      !call.halves(3, "rounded", &rounded) || !call.floats(4, "rest", &rest))
    return nullptr;
  const size_t length = std::min({x.length, residual.length, rounded.length, rest.length});
  call.set().bfloat16.compress(x.data, residual.data, static_cast<float>(factor), rounded.data, rest.data, length);
  return nullptr;
}

// expand(bits, x): x = bits, which are bfloat16
napi_value expand(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Halves bits;
  Floats x;
  if (!call.halves(0, "bits", &bits) || !call.floats(1, "x", &x)) return nullptr;
  call.set().bfloat16.widen(bits.data, x.data, std::min(bits.length, x.length));
  return nullptr;
}

Napi::Array describe(Napi::Env env, const KernelSet& set) {
  Napi::Array kernels = Napi::Array::New(env, set.count);
  for (size_t i = 0; i < set.count; ++i) {
    Napi::Object kernel = Napi::Object::New(env);
    kernel.Set("name", set.kernels[i].name);
    kernel.Set("state", set.kernels[i].state);
    kernel.Set("constants", set.kernels[i].constants);
    Napi::Array layout = Napi::Array::New(env, kMaxState);
    static const char* const words[] = {"element", "row", "column", "own"};  // indexed by Layout
    for (uint32_t s = 0; s < kMaxState; ++s) layout.Set(s, words[set.kernels[i].layout[s]]);
    kernel.Set("layout", layout);
    kernel.Set("perRow", set.kernels[i].perRow);
    kernel.Set("norms", set.kernels[i].measure != nullptr);
    kernel.Set("numbers", set.kernels[i].numbers);
    kernels.Set(static_cast<uint32_t>(i), kernel);
  }
  return kernels;
}

// engine(isa) => { kernels, sumSquares, lerp, add, scale, compress, expand, and the functions of definePlan,
// defineLinalg, defineMatmul, defineEigen and defineTableRows }; undefined if this build or this CPU lacks the
// instruction set
napi_value engine(napi_env env, napi_callback_info info) {
  Call call(env, info);
  std::string isa;
  if (!call.text(0, "isa", &isa)) return nullptr;
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  for (size_t i = 0; i < count; ++i) {
    if (isa != sets[i]->isa) continue;
    const NamedFunction functions[] = {
        {"sumSquares", guarded<sumSquaresOf>},
        {"lerp", guarded<lerp>},
        {"add", guarded<add>},
        {"scale", guarded<scale>},
        {"compress", guarded<compress>},
        {"expand", guarded<expand>},
    };
    Napi::Object result = Napi::Object::New(env);
    result.Set("kernels", describe(env, *sets[i]));
    defineFunctions(env, result, functions, sets[i]);
    definePlan(env, result, *sets[i]);
    defineLinalg(env, result, *sets[i]);
    defineMatmul(env, result, *sets[i]);
    defineEigen(env, result, *sets[i]);
    defineTableRows(env, result, *sets[i]);
    return result;
  }
  return nullptr;
}

constexpr size_t kMaxThreads = 1024;

// setThreads(n, always): for the whole process
napi_value setThreads(napi_env env, napi_callback_info info) {
  Call call(env, info);
  size_t threads;
  if (!call.integer(0, "n", kMaxThreads, &threads)) return nullptr;
  bool isAlways = false;
  napi_get_value_bool(env, call.value(1), &isAlways);
  parallel::setThreads(threads, isAlways);
  return nullptr;
}

// threads() => number; 0 until it is set
napi_value threads(napi_env env, napi_callback_info) { return toNumber(env, static_cast<double>(parallel::threads())); }

Napi::Object init(Napi::Env env, Napi::Object exports) {
  if (!initOwnership(env)) return exports;
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  Napi::Array isas = Napi::Array::New(env, count);
  for (size_t i = 0; i < count; ++i) isas.Set(static_cast<uint32_t>(i), sets[i]->isa);
  exports.Set("isas", isas);
  const NamedFunction functions[] = {
      {"engine", guarded<engine>}, {"setThreads", guarded<setThreads>}, {"threads", guarded<threads>}};
  defineFunctions(env, exports, functions, nullptr);
  defineMemory(env, exports);
  parallel::retain();
  env.AddCleanupHook([] { parallel::release(); });
  return exports;
}
}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, init)
