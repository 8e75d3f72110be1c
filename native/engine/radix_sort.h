#pragma once
#include <stddef.h>
#include <stdint.h>

#include <vector>

/// A row number, and its position among the given ones.
struct PlacedRow {
  uint32_t row, position;
};

/// Sorts row numbers. Equal ones keep their order.
class RadixSort {
 public:
  /// All row numbers are below `limit`, and there are fewer than 2^32. The result stays until the next call.
  const PlacedRow* sort(const uint32_t* rows, size_t count, size_t limit);

  static size_t bytesFor(size_t count) { return 2 * count * sizeof(PlacedRow); }

 private:
  std::vector<PlacedRow> from_, to_;
};
