#include "partition.h"

void Partition::clear() {
  chunks_.clear();
  tasks_.assign(1, 0);
  pending_ = 0;
}

void Partition::add(size_t tensor, size_t count, size_t itemLength) {
  const size_t step = itemLength == 0 ? kChunk : itemLength < kChunk ? kChunk / itemLength : 1;
  for (size_t begin = 0; begin < count; begin += step) {
    const size_t rest = count - begin;
    chunks_.push_back({tensor, begin, rest < step ? rest : step, {}});
    pending_ += chunks_.back().length * itemLength;
    if (pending_ < kChunk) continue;
    tasks_.push_back(chunks_.size());
    pending_ = 0;
  }
}

void Partition::finish() {
  if (tasks_.back() < chunks_.size()) tasks_.push_back(chunks_.size());
}
