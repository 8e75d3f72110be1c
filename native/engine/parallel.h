#pragma once
#include <stddef.h>

// One thread pool for the whole process. It starts threads when they are first needed, and joins them when the last
// environment (of the main thread or of a worker thread) is released.
namespace parallel {

/// Each environment calls retain once and release once. The last release joins the threads.
void retain();
void release();

/// Sets the maximum number of threads of a step, the calling one included, for the whole process. It is 0 until it is
/// set. `always` is for tests: use all of them wherever there is work for them, even if that is slower.
void setThreads(size_t threads, bool always = false);
size_t threads();
bool always();

/// Calls task(context, i) once for each i < count, on at most `threads` threads, the calling one included. Returns when
/// all calls have returned. If the pool is busy with another caller, the calling thread makes all calls itself.
void run(size_t count, size_t threads, void (*task)(void* context, size_t i), void* context);

/// The same for a callable: calls task(i).
template <class Task>
void forEach(size_t count, size_t threads, Task task) {
  run(
      count, threads, [](void* context, size_t i) { (*static_cast<Task*>(context))(i); }, &task);
}

}  // namespace parallel
