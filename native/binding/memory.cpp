#include "memory.h"

#include <stdint.h>
#include <string.h>

#include <algorithm>

#include "../engine/allocator.h"
#include "call.h"

namespace {
constexpr napi_type_tag kBlockTag = {0x1f0e6d2b7c9a4853ULL, 0xb5d04c8e93a71f26ULL};
constexpr size_t kMaxLength = size_t{1} << 32;

/// A Float32Array over a block. Returns null if the runtime allows none.
napi_value arrayOver(napi_env env, const void* block, size_t length) {
  napi_value buffer, array;
  if (!createBuffer(env, block, length * sizeof(float), &buffer) ||
      napi_create_typedarray(env, napi_float32_array, length, buffer, 0, &array) != napi_ok)
    return nullptr;
  return array;
}

// allocate(length) => Float32Array, zeroed and aligned to 64 bytes; undefined if the runtime does not allow external
// memory or not that much, or if too much waits for the event loop
napi_value allocate(napi_env env, napi_callback_info info) {
  Call call(env, info);
  size_t length;
  if (!call.integer(0, "length", kMaxLength, &length)) return nullptr;
  willAllocate(env, length * sizeof(float));
  if (isWaiting(env)) return nullptr;
  void* const memory = allocator::allocate(length * sizeof(float));
  if (memory == nullptr) return nullptr;
  const napi_value array = arrayOver(env, memory, length);
  allocator::release(memory);
  return array;
}

// createBlock(length, offset?) => Block, zeroed, `offset` bytes into a page if it is large; undefined if there is not
// enough memory, or if too much waits for the event loop: the memory of a block does not, but that of its views does
napi_value createBlock(napi_env env, napi_callback_info info) {
  Call call(env, info);
  size_t length;
  size_t offset = 0;
  if (!call.integer(0, "length", kMaxLength, &length) ||
      (!call.isUndefined(1) && !call.integer(1, "offset", allocator::kPage, &offset)))
    return nullptr;
  if (offset % sizeof(float) != 0) {
    throwRangeError(env, "schuss: offset: not a multiple of 4");
    return nullptr;
  }
  const size_t bytes = length * sizeof(float);
  willAllocate(env, bytes);
  napi_value owner;
  if (isWaiting(env)) return nullptr;
  if (napi_create_object(env, &owner) != napi_ok) return nullptr;
  void* const memory = allocator::allocate(bytes, offset);
  if (memory == nullptr) return nullptr;
  int64_t total;
  napi_adjust_external_memory(env, static_cast<int64_t>(bytes), &total);
  return own(env, owner, new Block(memory, length), kBlockTag) ? owner : nullptr;
}

/// Reads the arguments (block, array of the same length).
bool blockAndFloats(Call& call, Block** block, Floats* floats) {
  *block = Block::of(call.env(), call.value(0));
  if (*block == nullptr || !call.floats(1, "array", floats)) return false;
  if (floats->length == (*block)->length()) return true;
  throwRangeError(call.env(), "schuss: array: not as long as the block");
  return false;
}

// readBlock(block, array): copies the block into the array
napi_value readBlock(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Block* block;
  Floats floats;
  if (blockAndFloats(call, &block, &floats) && floats.length > 0)
    memmove(floats.data, block->data(), floats.length * sizeof(float));
  return nullptr;
}

// writeBlock(block, array): copies the array into the block
napi_value writeBlock(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Block* block;
  Floats floats;
  if (blockAndFloats(call, &block, &floats) && floats.length > 0)
    memmove(block->data(), floats.data, floats.length * sizeof(float));
  return nullptr;
}

// fillBlock(block, value)
napi_value fillBlock(napi_env env, napi_callback_info info) {
  Call call(env, info);
  double value;
  Block* const block = Block::of(env, call.value(0));
  if (block == nullptr || !call.number(1, "value", &value)) return nullptr;
  std::fill_n(block->data(), block->length(), static_cast<float>(value));
  return nullptr;
}

// viewBlock(block) => Float32Array over its memory, which it keeps alive; undefined if the runtime does not allow it
napi_value viewBlock(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Block* const block = Block::of(env, call.value(0));
  return block == nullptr ? nullptr : arrayOver(env, block->data(), block->length());
}

// freeBlock(block): frees it now, unless a plan or a view still uses it. A second call does nothing
napi_value freeBlock(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Owned* const block = ownedBy(env, call.value(0), kBlockTag);
  if (block != nullptr) block->release(env);
  return nullptr;
}

// useLargePages(array): see allocator.h
napi_value useLargePages(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Floats floats;
  if (!call.floats(0, "array", &floats)) return nullptr;
  allocator::useLargePages(floats.data, floats.length * sizeof(float));
  return nullptr;
}

// owns(array) => whether the current memory of the array is a block of the allocator
napi_value owns(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Floats floats;
  if (!call.floats(0, "array", &floats)) return nullptr;
  const bool isOwned = allocator::retain(floats.data);
  if (isOwned) allocator::release(floats.data);
  return toBoolean(env, isOwned);
}

// address(array) => its current address. Finds overlaps between different buffer objects over the same memory
napi_value address(napi_env env, napi_callback_info info) {
  Call call(env, info);
  const void* data;
  if (!call.words(0, "array", &data)) return nullptr;
  return toNumber(env, static_cast<double>(reinterpret_cast<uintptr_t>(data)));
}
}  // namespace

Block* Block::of(napi_env env, napi_value value) {
  Block* const block = static_cast<Block*>(ownedBy(env, value, kBlockTag));
  if (block != nullptr && block->memory_ != nullptr) return block;
  throwTypeError(env, "schuss: block: not a block, or one that was freed");
  return nullptr;
}

void Block::free(napi_env env) {
  allocator::release(memory_);
  memory_ = nullptr;
  int64_t total;
  napi_adjust_external_memory(env, -static_cast<int64_t>(length_ * sizeof(float)), &total);
}

void defineMemory(napi_env env, napi_value exports) {
  const NamedFunction functions[] = {
      {"allocate", guarded<allocate>},     {"createBlock", guarded<createBlock>},     {"readBlock", guarded<readBlock>},
      {"writeBlock", guarded<writeBlock>}, {"fillBlock", guarded<fillBlock>},         {"viewBlock", guarded<viewBlock>},
      {"freeBlock", guarded<freeBlock>},   {"useLargePages", guarded<useLargePages>}, {"owns", guarded<owns>},
      {"address", guarded<address>},
  };
  defineFunctions(env, exports, functions, nullptr);
}
