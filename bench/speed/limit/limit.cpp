// The limit of memory bandwidth: a loop that reads and writes as many arrays as an optimizer, with one addition for
// each.
//   limit(param, grad, states, repeats, threads) => seconds for `repeats` passes
#include <node_api.h>
#include <stddef.h>

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
  for (size_t t = 1; t < threads; ++t) {
    others.emplace_back([&, t] {
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

float* data(napi_env env, napi_value array, size_t* length) {
  void* data = nullptr;
  napi_get_typedarray_info(env, array, nullptr, length, &data, nullptr, nullptr);
  return static_cast<float*>(data);
}

// Called only by bench/speed/limit.ts, with Float32Arrays of one length: nothing is checked.
napi_value limit(napi_env env, napi_callback_info info) {
  size_t count = 5;
  napi_value args[5];
  napi_get_cb_info(env, info, &count, args, nullptr, nullptr);
  Arrays arrays = {};
  arrays.param = data(env, args[0], &arrays.length);
  arrays.grad = data(env, args[1], &arrays.length);
  uint32_t states = 0;
  napi_get_array_length(env, args[2], &states);
  for (uint32_t i = 0; i < states; ++i) {
    napi_value state;
    napi_get_element(env, args[2], i, &state);
    arrays.state[i] = data(env, state, &arrays.length);
  }
  uint32_t repeats = 1;
  uint32_t threads = 1;
  napi_get_value_uint32(env, args[3], &repeats);
  napi_get_value_uint32(env, args[4], &threads);
  napi_value result;
  napi_create_double(env, seconds(arrays, kWalks[states], repeats, threads), &result);
  return result;
}
}  // namespace

NAPI_MODULE_INIT() {
  napi_value maxStates;
  napi_value function;
  napi_create_uint32(env, kMaxStates, &maxStates);
  napi_create_function(env, "limit", NAPI_AUTO_LENGTH, limit, nullptr, &function);
  napi_set_named_property(env, exports, "maxStates", maxStates);
  napi_set_named_property(env, exports, "limit", function);
  return exports;
}
