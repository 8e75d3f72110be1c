// The limit of memory bandwidth: a loop that reads and writes as many arrays as an optimizer, with one addition for
// each.
//   limit(param, grad, states, repeats, threads) => seconds for `repeats` passes
//   limitRows(table, states, isPerRow, width, rows, grads) => seconds for one pass over rows of a table
#include <node_api.h>
#if defined(__linux__)
#include <sched.h>
#endif
#include <stddef.h>
#include <stdint.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace {
constexpr size_t kMaxStates = 5;

struct Arrays {
  float* param;
  const float* grad;
  float* state[kMaxStates];
  size_t length;
};

template <size_t kStates>
void walk(const Arrays& arrays, size_t begin, size_t end) {
  float* __restrict param = arrays.param;
  const float* __restrict grad = arrays.grad;
  float* __restrict a = arrays.state[0];
  float* __restrict b = arrays.state[1];
  float* __restrict c = arrays.state[2];
  float* __restrict d = arrays.state[3];
  float* __restrict e = arrays.state[4];
  for (size_t i = begin; i < end; ++i) {
    const float g = grad[i];
    param[i] = param[i] + g;
    if (kStates > 0) a[i] = a[i] + g;
    if (kStates > 1) b[i] = b[i] + g;
    if (kStates > 2) c[i] = c[i] + g;
    if (kStates > 3) d[i] = d[i] + g;
    if (kStates > 4) e[i] = e[i] + g;
  }
}
using Walk = void (*)(const Arrays&, size_t, size_t);
constexpr Walk kWalks[] = {walk<0>, walk<1>, walk<2>, walk<3>, walk<4>, walk<5>};

// All threads wait for each other after each pass, as they do after a step. They spin, so that none has to be woken.
class Barrier {
 public:
  explicit Barrier(size_t threads) : threads_(threads) {}
  void meet() {
    const size_t round = round_.load();
    if (arrived_.fetch_add(1) + 1 == threads_) {
      arrived_.store(0);
      round_.store(round + 1);
      return;
    }
    for (size_t spins = 0; round_.load() == round; ++spins) {
      // Lets a thread that has lost its core get it back sooner.
      if (spins > 10000) std::this_thread::yield();
    }
  }

 private:
  const size_t threads_;
  std::atomic<size_t> arrived_{0};
  std::atomic<size_t> round_{0};
};

int currentCore() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

/// Keeps the calling thread off a core. Linux may start it on the core of its creator while another one is idle.
void avoid(int core) {
#if defined(__linux__)
  cpu_set_t cores;
  if (core < 0 || sched_getaffinity(0, sizeof cores, &cores) != 0) return;
  CPU_CLR(core, &cores);
  sched_setaffinity(0, sizeof cores, &cores);  // fails, and changes nothing, if that was the only one
#endif
}

double seconds(const Arrays& arrays, Walk pass, size_t repeats, size_t threads) {
  Barrier barrier(threads);
  const auto part = [&](size_t thread) {
    // Multiples of a cache line, so that no two threads write to the same line.
    const auto border = [&](size_t t) { return t == threads ? arrays.length : arrays.length / threads * t / 16 * 16; };
    for (size_t i = 0; i < repeats; ++i) {
      pass(arrays, border(thread), border(thread + 1));
      barrier.meet();
    }
  };
  std::vector<std::thread> others;
  const int here = currentCore();
  for (size_t t = 1; t < threads; ++t) {
    others.emplace_back([&, t] {
      avoid(here);
      barrier.meet();
      part(t);
    });
  }
  barrier.meet();
  const auto start = std::chrono::steady_clock::now();
  part(0);
  const double time = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (std::thread& thread : others) thread.join();
  return time;
}

/// A table of rows, with an array of its size or, if kPerRow, of one number a row for each state.
struct Table {
  float* param;
  float* state[kMaxStates];
  const int32_t* rows;  ///< distinct
  size_t count;
  const float* grads;  ///< at least `count` rows; those behind are only read
  size_t floats;       ///< of all gradients
};

// Nothing predicts the next row, so all its lines are asked for well before. Lengths are known: loops of unknown
// length would halve the speed.
constexpr size_t kAhead = 16;

template <size_t kWidth>
void prefetchRow(const float* row) {
  for (size_t i = 0; i < kWidth; i += 16) __builtin_prefetch(row + i, 1);
  if (reinterpret_cast<uintptr_t>(row) % 64 != 0) __builtin_prefetch(row + kWidth - 1, 1);
}

template <size_t kWidth, size_t kStates, bool kPerRow>
void walkRows(const Table& table) {
  constexpr size_t kOfState = kPerRow ? 1 : kWidth;
  for (size_t n = 0; n < table.count; ++n) {
    const size_t ahead = table.rows[n + kAhead < table.count ? n + kAhead : table.count - 1];
    prefetchRow<kWidth>(table.param + ahead * kWidth);
    for (size_t s = 0; s < kStates; ++s) prefetchRow<kOfState>(table.state[s] + ahead * kOfState);
    const size_t row = table.rows[n];
    const float* const grad = table.grads + n * kWidth;
    float* const param = table.param + row * kWidth;
    for (size_t i = 0; i < kWidth; ++i) param[i] = param[i] + grad[i];
    for (size_t s = 0; s < kStates; ++s) {
      float* const state = table.state[s] + row * kOfState;
      for (size_t i = 0; i < kOfState; ++i) state[i] = state[i] + grad[i];
    }
  }
  float sums[16] = {};
  for (size_t i = table.count * kWidth; i + 16 <= table.floats; i += 16) {
    for (size_t k = 0; k < 16; ++k) sums[k] = sums[k] + table.grads[i + k];
  }
  volatile float sink = 0;
  for (const float sum : sums) sink = sink + sum;
}

using RowWalk = void (*)(const Table&);
RowWalk rowWalkOf(size_t width, size_t states, bool isPerRow) {
  if (width == 1 && states == 2) return walkRows<1, 2, false>;
  if (states != 1) return nullptr;
  if (width == 16) return isPerRow ? walkRows<16, 1, true> : walkRows<16, 1, false>;
  if (width == 64) return isPerRow ? walkRows<64, 1, true> : walkRows<64, 1, false>;
  return nullptr;
}

float* data(napi_env env, napi_value array, size_t* length) {
  void* data = nullptr;
  napi_get_typedarray_info(env, array, nullptr, length, &data, nullptr, nullptr);
  return static_cast<float*>(data);
}

/// Reads a list of states. Returns how many there are.
size_t statesOf(napi_env env, napi_value list, float** states) {
  uint32_t count = 0;
  size_t length = 0;
  napi_get_array_length(env, list, &count);
  for (uint32_t i = 0; i < count; ++i) {
    napi_value state;
    napi_get_element(env, list, i, &state);
    states[i] = data(env, state, &length);
  }
  return count;
}

// Called only by bench/speed/limit.ts, with arrays of the right lengths: little is checked.
napi_value limit(napi_env env, napi_callback_info info) {
  size_t count = 5;
  napi_value args[5];
  napi_get_cb_info(env, info, &count, args, nullptr, nullptr);
  Arrays arrays = {};
  arrays.param = data(env, args[0], &arrays.length);
  arrays.grad = data(env, args[1], &arrays.length);
  const size_t states = statesOf(env, args[2], arrays.state);
  uint32_t repeats = 1;
  uint32_t threads = 1;
  napi_get_value_uint32(env, args[3], &repeats);
  napi_get_value_uint32(env, args[4], &threads);
  napi_value result;
  napi_create_double(env, seconds(arrays, kWalks[states], repeats, threads), &result);
  return result;
}

napi_value limitRows(napi_env env, napi_callback_info info) {
  size_t argCount = 6;
  napi_value args[6];
  napi_get_cb_info(env, info, &argCount, args, nullptr, nullptr);
  Table table = {};
  size_t length = 0;
  bool isPerRow = false;
  uint32_t width = 1;
  table.param = data(env, args[0], &length);
  const size_t states = statesOf(env, args[1], table.state);
  napi_get_value_bool(env, args[2], &isPerRow);
  napi_get_value_uint32(env, args[3], &width);
  table.rows = reinterpret_cast<const int32_t*>(data(env, args[4], &table.count));
  table.grads = data(env, args[5], &table.floats);
  const RowWalk walk = rowWalkOf(width, states, isPerRow);
  napi_value result;
  if (walk == nullptr) {
    napi_throw_error(env, nullptr, "no loop of this width and as many states");
    return nullptr;
  }
  const auto start = std::chrono::steady_clock::now();
  walk(table);
  napi_create_double(env, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), &result);
  return result;
}
}  // namespace

NAPI_MODULE_INIT() {
  napi_value maxStates;
  napi_value function;
  napi_create_function(env, "limitRows", NAPI_AUTO_LENGTH, limitRows, nullptr, &function);
  napi_set_named_property(env, exports, "limitRows", function);
  napi_create_uint32(env, kMaxStates, &maxStates);
  napi_create_function(env, "limit", NAPI_AUTO_LENGTH, limit, nullptr, &function);
  napi_set_named_property(env, exports, "maxStates", maxStates);
  napi_set_named_property(env, exports, "limit", function);
  return exports;
}
