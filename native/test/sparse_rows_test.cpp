// SparseRows: the distinct rows of a sparse gradient, and their gradients.
#include "../engine/sparse_rows.h"

#include <algorithm>
#include <map>
#include <random>

#include "buffer.h"
#include "check.h"
#include "random.h"
#include "sets.h"

namespace {
/// The expected result of gather, in the simplest way: rows in the order of their first occurrence, sums in float32.
struct Expected {
  Expected(const std::vector<uint32_t>& given, const float* values, size_t length) {
    std::map<uint32_t, size_t> found;
    for (size_t i = 0; i < given.size(); ++i) {
      const auto place = found.emplace(given[i], rows.size());
      const float* const grad = values + i * length;
      if (place.second) {
        rows.push_back(given[i]);
        grads.emplace_back(grad, grad + length);
        continue;
      }
      std::vector<float>& sum = grads[place.first->second];
      for (size_t k = 0; k < length; ++k) sum[k] = sum[k] + grad[k];
    }
  }

  bool equals(SparseRows& actual, size_t length) const {
    if (actual.size() != rows.size()) return false;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (actual.row(i) != rows[i]) return false;
      if (memcmp(actual.grad(i), grads[i].data(), length * sizeof(float)) != 0) return false;
    }
    return true;
  }

  /// The same in ascending order.
  Expected ascending() const {
    std::map<uint32_t, size_t> found;
    for (size_t i = 0; i < rows.size(); ++i) found[rows[i]] = i;
    Expected result({}, nullptr, 0);
    for (const auto& entry : found) {
      result.rows.push_back(entry.first);
      result.grads.push_back(grads[entry.second]);
    }
    return result;
  }

  std::vector<uint32_t> rows;
  std::vector<std::vector<float>> grads;
};

constexpr size_t kMinSorted = 2048;

/// Gathers twice, as two steps do, and compares the results. All rows must be below `limit`.
bool gathers(const KernelSet& set, const std::vector<uint32_t>& given, size_t length, size_t limit = SIZE_MAX) {
  Buffer values(given.size() * length);
  Random(static_cast<uint32_t>(given.size() + length)).fill(&values, Values::kOrdinary);
  const Buffer before = values;
  const Expected expected(given, values.data(), length);
  SparseRows grads;
  grads.set({given.data(), given.size(), values.data(), length});
  bool all = true;
  for (int step = 0; step < 2; ++step) {
    all = all && grads.gather(limit, set) == SparseRows::kAllValid && expected.equals(grads, length);
  }
  const Expected free = given.size() < kMinSorted ? expected : expected.ascending();
  all = all && grads.gather(limit, set, false) == SparseRows::kAllValid && free.equals(grads, length);
  return all && values.differs(before) == values.length() && values.guarded();
}
}  // namespace

TEST("sparse rows: distinct rows keep their order, and their gradients are not copied") {
  forEachSet([](const KernelSet& set) {
    const std::vector<uint32_t> rows = {7, 0, 3};
    float values[] = {1, 2, 3, 4, 5, 6};
    SparseRows grads;
    grads.set({rows.data(), rows.size(), values, 2});
    CHECK_EQUAL(grads.gather(8, set), SparseRows::kAllValid);
    CHECK_EQUAL(grads.size(), 3);
    CHECK_EQUAL(grads.rowLength(), 2);
    for (size_t i = 0; i < 3; ++i) {
      CHECK_EQUAL(grads.row(i), rows[i]);
      CHECK_EQUAL(grads.grad(i), values + 2 * i);
    }
  });
}

TEST("sparse rows: a repeated row is at its first position, with the sum") {
  forEachSet([](const KernelSet& set) {
    const std::vector<uint32_t> rows = {5, 1, 5, 2, 1, 5};
    float values[] = {1, 10, 2, 20, 4, 40, 8, 80, 16, 160, 32, 320};
    const std::vector<float> before(values, values + 12);
    SparseRows grads;
    grads.set({rows.data(), rows.size(), values, 2});
    CHECK_EQUAL(grads.gather(6, set), SparseRows::kAllValid);
    CHECK_EQUAL(grads.size(), 3);
    CHECK_EQUAL(grads.row(0), 5);
    CHECK_EQUAL(grads.grad(0)[0], 37);
    CHECK_EQUAL(grads.grad(0)[1], 370);
    CHECK_EQUAL(grads.row(1), 1);
    CHECK_EQUAL(grads.grad(1)[0], 18);
    CHECK_EQUAL(grads.grad(1)[1], 180);
    CHECK_EQUAL(grads.row(2), 2);
    CHECK_EQUAL(grads.grad(2)[0], 8);
    CHECK_EQUAL(grads.grad(2), values + 6);
    CHECK(memcmp(values, before.data(), sizeof values) == 0);
    // The next step reuses the memory of the sums.
    const float* const sum = grads.grad(1);
    grads.gather(6, set);
    CHECK_EQUAL(grads.grad(1), sum);
    CHECK_EQUAL(sum[0], 18);
  });
}

TEST("sparse rows: sums are in float32, in the given order") {
  forEachSet([](const KernelSet& set) {
    const uint32_t rows[] = {0, 0, 0};
    // In another order, or in float64, the result would be 1.
    float values[] = {1e8f, 1, -1e8f};
    SparseRows grads;
    grads.set({rows, 3, values, 1});
    CHECK_EQUAL(grads.gather(1, set), SparseRows::kAllValid);
    CHECK_EQUAL(grads.size(), 1);
    CHECK_EQUAL(grads.grad(0)[0], 0);
    values[1] = -1e8f, values[2] = 1;
    grads.gather(1, set);
    CHECK_EQUAL(grads.grad(0)[0], 1);
    // The sum of two large numbers may overflow.
    values[0] = values[1] = 3e38f;
    grads.gather(1, set);
    CHECK(isinf(grads.grad(0)[0]));
  });
}

TEST("sparse rows: gather returns the position of the first row out of range") {
  forEachSet([](const KernelSet& set) {
    const uint32_t minusOne = static_cast<uint32_t>(-1);
    for (uint32_t bad : {4u, 5u, 0x7fffffffu, 0x80000000u, minusOne}) {
      for (size_t at = 0; at < 5; ++at) {
        uint32_t rows[] = {0, 3, 1, 3, 2};
        float values[] = {1, 2, 3, 4, 5};
        rows[at] = bad;
        SparseRows grads;
        grads.set({rows, 5, values, 1});
        CHECK_EQUAL(grads.gather(4, set), at);
        // After the row is corrected, gather works as usual.
        rows[at] = 0;
        CHECK_EQUAL(grads.gather(4, set), SparseRows::kAllValid);
        CHECK(Expected(std::vector<uint32_t>(rows, rows + 5), values, 1).equals(grads, 1));
      }
    }
    const uint32_t zero[] = {0};
    float value[] = {1};
    SparseRows grads;
    grads.set({zero, 1, value, 1});
    CHECK_EQUAL(grads.gather(0, set), 0);
    CHECK_EQUAL(grads.gather(1, set), SparseRows::kAllValid);
  });
}

TEST("sparse rows: no rows at all") {
  forEachSet([](const KernelSet& set) {
    SparseRows grads;
    CHECK_EQUAL(grads.gather(0, set), SparseRows::kAllValid);
    CHECK_EQUAL(grads.size(), 0);
    grads.zero();
    const uint32_t rows[] = {1, 1};
    float values[] = {1, 2};
    grads.set({rows, 2, values, 1});
    CHECK_EQUAL(grads.gather(2, set), SparseRows::kAllValid);
    CHECK_EQUAL(grads.size(), 1);
    grads.set({nullptr, 0, nullptr, 0});
    CHECK_EQUAL(grads.gather(2, set), SparseRows::kAllValid);
    CHECK_EQUAL(grads.size(), 0);
    grads.zero();
    CHECK_EQUAL(values[0], 1);
    CHECK_EQUAL(values[1], 2);
  });
}

TEST("sparse rows: other arrays of other lengths, and row numbers that change in place") {
  forEachSet([](const KernelSet& set) {
    SparseRows grads;
    for (size_t count : {100, 3, 1000, 1, 17}) {
      std::vector<uint32_t> rows(count);
      Buffer values(count * 3);
      Random(static_cast<uint32_t>(count)).fill(&values, Values::kOrdinary);
      for (size_t i = 0; i < count; ++i) rows[i] = static_cast<uint32_t>(i * 7 % 50);
      grads.set({rows.data(), count, values.data(), 3});
      CHECK_EQUAL(grads.gather(50, set), SparseRows::kAllValid);
      CHECK(Expected(rows, values.data(), 3).equals(grads, 3));
      for (uint32_t& row : rows) row = row / 2;
      grads.gather(50, set);
      CHECK(Expected(rows, values.data(), 3).equals(grads, 3));
    }
  });
}

TEST("sparse rows: row lengths around the width of every register") {
  forEachSet([](const KernelSet& set) {
    for (size_t length = 1; length <= 33; ++length) CHECK(gathers(set, {3, 1, 3, 3, 0, 1}, length, 4));
    for (size_t length : {1000, 2003}) CHECK(gathers(set, {3, 1, 3, 3, 0, 1}, length, 4));
  });
}

// The hash table for up to 8 rows has 16 slots. All of these rows hash to the same slot: the last one, whose probing
// wraps around to the first, one in the middle, or the first.
TEST("sparse rows: rows that collide in the hash table") {
  for (uint64_t slot : {15, 7, 0}) {
    std::vector<uint32_t> rows;
    for (uint32_t row = 0; rows.size() < 8; ++row) {
      if ((row * 0x9e3779b97f4a7c15ULL) >> 60 == slot) rows.push_back(row);
    }
    forEachSet([&](const KernelSet& set) { CHECK(gathers(set, rows, 2)); });
    for (size_t i = 0; i < 4; ++i) rows[i + 4] = rows[3 - i];
    forEachSet([&](const KernelSet& set) { CHECK(gathers(set, rows, 2)); });
  }
}

TEST("sparse rows: many rows: close together, far apart, evenly spaced, all equal, the largest") {
  std::mt19937 bits(1);
  for (size_t count : {1, 8, 9, 5000}) {
    std::vector<std::vector<uint32_t>> all(7, std::vector<uint32_t>(count));
    for (size_t i = 0; i < count; ++i) {
      const uint32_t n = static_cast<uint32_t>(i), r = static_cast<uint32_t>(bits());
      const uint32_t rows[] = {r % 10, r % 3000, r, n, n << 16, 7, static_cast<uint32_t>(-1) - n % 100};
      for (size_t k = 0; k < all.size(); ++k) all[k][i] = rows[k];
    }
    for (const std::vector<uint32_t>& rows : all) CHECK(gathers(widestSet(), rows, 3));
  }
}

// From 2048 names on they are sorted.
TEST("sparse rows: as many names as are sorted, and one fewer, in tables of few and of many rows") {
  std::mt19937 bits(2);
  for (size_t count : {2047, 2048, 2049, 20000}) {
    for (size_t limit : {1, 50, 3000, 100000, 5000000}) {
      std::vector<uint32_t> rows(count);
      for (uint32_t& row : rows) {
        // A product makes some rows popular.
        const uint64_t a = bits() % limit, b = bits() % limit;
        row = static_cast<uint32_t>(a * b / limit);
      }
      forEachSet([&](const KernelSet& set) { CHECK(gathers(set, rows, 5, limit)); });
      CHECK(gathers(widestSet(), rows, 32, limit));
      std::sort(rows.begin(), rows.end());
      CHECK(gathers(widestSet(), rows, 1, limit));
    }
  }
}

TEST("sparse rows: a sort and a look-up take turns over the same memory") {
  std::mt19937 bits(3);
  SparseRows grads;
  for (size_t count : {5000, 100, 3000, 2047, 2048, 1}) {
    std::vector<uint32_t> rows(count);
    for (uint32_t& row : rows) row = static_cast<uint32_t>(bits() % 700);
    Buffer values(count * 3);
    Random(static_cast<uint32_t>(count)).fill(&values, Values::kOrdinary);
    grads.set({rows.data(), count, values.data(), 3});
    CHECK_EQUAL(grads.gather(700, widestSet()), SparseRows::kAllValid);
    CHECK(Expected(rows, values.data(), 3).equals(grads, 3));
    rows[count / 2] = 700;
    CHECK_EQUAL(grads.gather(700, widestSet()), count / 2);
  }
}

TEST("sparse rows: zero sets all values to 0, also of repeated rows, and nothing beside them") {
  forEachSet([](const KernelSet& set) {
    const std::vector<uint32_t> rows = {2, 0, 2};
    Buffer values(9);
    Random(1).fill(&values, Values::kAny);
    SparseRows grads;
    grads.set({rows.data(), rows.size(), values.data(), 3});
    grads.gather(3, set);
    grads.zero();
    for (size_t i = 0; i < values.length(); ++i) CHECK_EQUAL(values.bits(i), 0);
    CHECK(values.guarded());
  });
}
