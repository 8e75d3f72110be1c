#include "allocator.h"

#include <stdint.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include <map>
#include <mutex>

namespace allocator {
namespace {
constexpr size_t kMinPlaced = 16 * 1024;

struct Block {
  void* memory;  ///< from calloc
  uintptr_t end;
  size_t references;
};
struct Registry {
  std::mutex mutex;
  std::map<uintptr_t, Block> blocks;  ///< by start address

  std::map<uintptr_t, Block>::iterator find(const void* pointer) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
    auto after = blocks.upper_bound(address);
    if (after == blocks.begin()) return blocks.end();
    --after;
    return address < after->second.end ? after : blocks.end();
  }
};

// Never destroyed, because other threads may still use it when the process ends.
Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}
}  // namespace

void useLargePages(void* memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
  constexpr uintptr_t kLargePage = uintptr_t{2} << 20;
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t begin = (address + kLargePage - 1) & ~(kLargePage - 1);
  const uintptr_t end = (address + bytes) & ~(kLargePage - 1);
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)memory;
  (void)bytes;
#endif
}

void* allocate(size_t bytes, size_t offset) {
  const size_t modulus = offset > 0 && bytes >= kMinPlaced ? kPage : kAlignment;
  // calloc maps large blocks from the system, whose zeroed pages cost nothing until they are touched.
  void* memory = calloc(1, bytes + modulus);
  if (memory == nullptr) return nullptr;
  if (bytes >= kLargeBytes) useLargePages(memory, bytes + modulus);
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t begin = address + (((modulus == kPage ? offset : 0) - address) & (modulus - 1));
  const std::lock_guard<std::mutex> lock(registry().mutex);
  registry().blocks[begin] = {memory, begin + (bytes > 0 ? bytes : 1), 1};
  return reinterpret_cast<void*>(begin);
}

bool retain(const void* pointer) {
  const std::lock_guard<std::mutex> lock(registry().mutex);
  const auto found = registry().find(pointer);
  if (found == registry().blocks.end()) return false;
  ++found->second.references;
  return true;
}

void release(const void* pointer) {
  void* memory = nullptr;
  {
    const std::lock_guard<std::mutex> lock(registry().mutex);
    const auto found = registry().find(pointer);
    if (found == registry().blocks.end() || --found->second.references > 0) return;
    memory = found->second.memory;
    registry().blocks.erase(found);
  }
  free(memory);
}

}  // namespace allocator
