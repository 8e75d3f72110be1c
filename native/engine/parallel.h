#pragma once
#include <stddef.h>

// One pool of threads for the whole process. It starts at first need, and ends with the last environment (the main
// thread's or a worker's) that uses it.
namespace parallel {

/// An environment counts itself in and out; when the last is out, the threads end.
void retain();
void release();

/// The most threads that a step may use, the calling one included; for the whole process. 0 until it is set. `always`:
/// use all of them wherever there is work for them, paying or not; for tests.
void setThreads(size_t threads, bool always = false);
size_t threads();
bool always();

/// Calls task(context, i) once for each i below `count`, here and on threads of the pool, `threads` in all, and returns
/// when all is done. A caller that finds the pool at another's work does it all itself.
void run(size_t count, size_t threads, void (*task)(void* context, size_t i), void* context);

}  // namespace parallel
