#pragma once
#include <stddef.h>

// Memory of the library's own, for the whole process: aligned, zeroed, and freed when nobody holds it any more. What
// JavaScript does with an array over it (transfers it, lets it go) can't pull it from under a step that holds it.
namespace allocator {

constexpr size_t kAlignment = 64;

/// A block that is held once, or null where there is no memory.
void* allocate(size_t bytes);
/// Holds the block that `pointer` points into; false if there is none.
bool hold(const void* pointer);
void release(const void* pointer);

}  // namespace allocator
