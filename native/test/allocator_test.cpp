// The allocator: memory is aligned, zeroed, and freed with its last reference. A freed block cannot be retained.
#include "../engine/allocator.h"

#include <stdint.h>
#include <string.h>

#include <thread>
#include <vector>

#include "check.h"

namespace {
/// Releases all references to the block and returns their number.
size_t drain(const void* pointer) {
  size_t references = 0;
  while (allocator::retain(pointer)) {
    allocator::release(pointer);
    allocator::release(pointer);
    ++references;
  }
  return references;
}
}  // namespace

TEST("allocator: a block is aligned and zeroed, and has one reference") {
  for (size_t bytes : {1, 4, 63, 64, 65, 4096, 1 << 20}) {
    unsigned char* const block = static_cast<unsigned char*>(allocator::allocate(bytes));
    CHECK(block != nullptr && reinterpret_cast<uintptr_t>(block) % allocator::kAlignment == 0);
    for (size_t i = 0; i < bytes; ++i) CHECK_EQUAL(block[i], 0);
    memset(block, 1, bytes);
    CHECK_EQUAL(drain(block), 1);
    CHECK(!allocator::retain(block));
  }
}

TEST("allocator: a large block begins where it should within a page, a small one at a multiple of 64") {
  for (size_t offset : {4, 16, 64, 656, 4092}) {
    unsigned char* const large = static_cast<unsigned char*>(allocator::allocate(100000, offset));
    CHECK_EQUAL(reinterpret_cast<uintptr_t>(large) % allocator::kPage, offset);
    for (size_t i = 0; i < 100000; ++i) CHECK_EQUAL(large[i], 0);
    memset(large, 1, 100000);
    CHECK(!allocator::retain(large + 100000));
    CHECK_EQUAL(drain(large), 1);
    unsigned char* const small = static_cast<unsigned char*>(allocator::allocate(1000, offset));
    CHECK_EQUAL(reinterpret_cast<uintptr_t>(small) % allocator::kAlignment, 0);
    CHECK_EQUAL(drain(small), 1);
  }
}

TEST("allocator: retain takes any pointer into a block, and none outside") {
  for (size_t bytes : {1, 4, 100, 4096}) {
    char* const block = static_cast<char*>(allocator::allocate(bytes));
    CHECK(allocator::retain(block + bytes - 1));
    CHECK(allocator::retain(block + bytes / 2));
    CHECK(!allocator::retain(block + bytes));
    CHECK(!allocator::retain(block - 1));
    CHECK(!allocator::retain(nullptr));
    int local = 0;
    CHECK(!allocator::retain(&local));
    block[bytes - 1] = 1;
    CHECK_EQUAL(drain(block + bytes - 1), 3);
  }
}

TEST("allocator: adjacent blocks have separate reference counts") {
  constexpr size_t kBlocks = 64, kBytes = 48;
  std::vector<char*> all;
  for (size_t i = 0; i < kBlocks; ++i) all.push_back(static_cast<char*>(allocator::allocate(kBytes)));
  for (size_t i = 0; i < kBlocks; ++i) {
    for (size_t k = 0; k < i; ++k) CHECK(allocator::retain(all[i] + k % kBytes));
  }
  for (size_t i = 0; i < kBlocks; ++i) CHECK_EQUAL(drain(all[i]), i + 1);
}

TEST("allocator: an empty block can be retained by its address, and freed") {
  char* const empty = static_cast<char*>(allocator::allocate(0));
  char* const other = static_cast<char*>(allocator::allocate(0));
  CHECK(empty != nullptr && empty != other);
  CHECK(allocator::retain(empty) && !allocator::retain(empty + 1));
  CHECK_EQUAL(drain(empty), 2);
  CHECK_EQUAL(drain(other), 1);
}

TEST("allocator: release of a foreign or freed pointer does nothing") {
  int local = 0;
  allocator::release(&local);
  allocator::release(nullptr);
  void* const block = allocator::allocate(8);
  allocator::release(block);
  allocator::release(block);
  CHECK(!allocator::retain(block));
}

TEST("allocator: a block lives until the last of several threads releases it") {
  unsigned char* const block = static_cast<unsigned char*>(allocator::allocate(256));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    CHECK(allocator::retain(block));
    threads.emplace_back([=] {
      for (int round = 0; round < 500; ++round) {
        if (!allocator::retain(block + round % 256)) return;
        block[t] = static_cast<unsigned char>(round);
        allocator::release(block);
        void* const own = allocator::allocate(64);
        allocator::release(own);
      }
      block[t] = 7;
      allocator::release(block);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < 4; ++t) CHECK_EQUAL(block[t], 7);
  CHECK_EQUAL(drain(block), 1);
}
