#pragma once
#include <stddef.h>

#include <vector>

#include "../kernel.h"
#include "parallel.h"

/// A part of one tensor. A partial sum covers one chunk.
struct Chunk {
  size_t tensor;          ///< index in the plan
  size_t begin, length;   ///< in elements, or in sparse rows of the gradient
  double sums[kMaxSums];  ///< partial sums of the current phase
};

/// The chunks of all tensors of a plan, grouped into tasks for threads.
class Partition {
 public:
  void clear();
  /// Cuts one tensor of `count` items into chunks. An item is one element or one sparse row of `itemLength` elements,
  /// and is never cut.
  void add(size_t tensor, size_t count, size_t itemLength);
  /// Closes the last task. Call it after the last tensor.
  void finish();

  std::vector<Chunk>& chunks() { return chunks_; }
  size_t taskCount() const { return tasks_.size() - 1; }

  /// Calls work(chunk) for all chunks on at most `threads` threads, the calling one included.
  template <class Work>
  void forEachChunk(size_t threads, Work work) {
    if (threads == 1) {
      for (Chunk& chunk : chunks_) work(chunk);
      return;
    }
    parallel::forEach(taskCount(), threads, [&](size_t task) {
      for (size_t i = tasks_[task]; i < tasks_[task + 1]; ++i) work(chunks_[i]);
    });
  }

 private:
  std::vector<Chunk> chunks_;
  /// The index of the first chunk of each task, and the end. Small tensors share a task.
  std::vector<size_t> tasks_{0};
  size_t pending_ = 0;  ///< elements in the task that is not closed
};
