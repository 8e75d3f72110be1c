#pragma once
#include <stddef.h>

// Aligned and zeroed memory for the whole process, reference-counted. A step retains the blocks that it uses, so that
// JavaScript may transfer or drop an array over a block while the step runs.
namespace allocator {

constexpr size_t kAlignment = 64;

constexpr size_t kPage = 4096;

/// Blocks of as many bytes are backed by large pages, where the system has them.
constexpr size_t kLargeBytes = size_t{4} << 20;

/// Asks the system to back new memory by large pages, before its first use: a hint, which changes no values. Touching
/// it is then several times faster, because each page costs a fault. Rows of a large table that are far apart are found
/// faster, because the CPU remembers the places of a limited number of pages.
void useLargePages(void* memory, size_t bytes);

/// Returns a block with a reference count of 1, or null if there is not enough memory. It begins `offset` bytes after a
/// multiple of kPage; a small block begins at a multiple of kAlignment instead, because the slack would cost more than
/// it gains.
void* allocate(size_t bytes, size_t offset = 0);
/// Adds a reference to the block that `pointer` points into. Returns false if there is no such block.
bool retain(const void* pointer);
/// Removes a reference from the block that `pointer` points into, and frees the block with the last one. Does nothing
/// if there is no such block.
void release(const void* pointer);

}  // namespace allocator
