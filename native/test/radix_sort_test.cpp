// RadixSort against std::stable_sort.
#include "../engine/radix_sort.h"

#include <algorithm>
#include <random>

#include "check.h"

TEST("radix sort: row numbers ascend, equal ones in the given order, for each number of digits") {
  std::mt19937 bits(1);
  RadixSort radix;
  for (uint64_t limit : {1ull, 2ull, 1000ull, 2048ull, 2049ull, 1ull << 22, (1ull << 22) + 1, 1ull << 32}) {
    for (size_t count : {size_t{1}, size_t{2}, size_t{5000}, size_t{100}}) {
      std::vector<uint32_t> rows(count);
      for (uint32_t& row : rows) row = static_cast<uint32_t>(bits() % limit);
      rows[count / 2] = static_cast<uint32_t>(limit - 1);
      std::vector<uint32_t> order(count);
      for (size_t i = 0; i < count; ++i) order[i] = static_cast<uint32_t>(i);
      std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return rows[a] < rows[b]; });
      const PlacedRow* const sorted = radix.sort(rows.data(), count, static_cast<size_t>(limit));
      for (size_t i = 0; i < count; ++i) {
        CHECK_EQUAL(sorted[i].row, rows[order[i]]);
        CHECK_EQUAL(sorted[i].position, order[i]);
      }
    }
  }
}
