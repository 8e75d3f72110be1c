// SparseRows: which rows a gradient names, and what their gradients are.
#include "../engine/sparse_rows.h"

#include <map>

#include "buffer.h"
#include "check.h"
#include "random.h"
#include "sets.h"

namespace {
/// What gather should find, in the plainest way: rows in the order in which they are first named, with sums in float.
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

  std::vector<uint32_t> rows;
  std::vector<std::vector<float>> grads;
};

/// Gathers twice, as two steps do, and compares. `given` must be below `limit`.
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
  return all && values.differs(before) == values.length() && values.guarded();
}
}  // namespace

TEST("rows that are named once keep their order, and their gradients stay where they are") {
  forEachSet([](const KernelSet& set) {
    const std::vector<uint32_t> rows = {7, 0, 3};
    float values[] = {1, 2, 3, 4, 5, 6};
    SparseRows grads;
    grads.set({rows.data(), rows.size(), values, 2});
    CHECK(grads.gather(8, set) == SparseRows::kAllValid);
    CHECK(grads.size() == 3 && grads.rowLength() == 2);
    for (size_t i = 0; i < 3; ++i) CHECK(grads.row(i) == rows[i] && grads.grad(i) == values + 2 * i);
  });
}

TEST("a row that is named again stands where it was named first, with the sum") {
  forEachSet([](const KernelSet& set) {
    const std::vector<uint32_t> rows = {5, 1, 5, 2, 1, 5};
    float values[] = {1, 10, 2, 20, 4, 40, 8, 80, 16, 160, 32, 320};
    const std::vector<float> before(values, values + 12);
    SparseRows grads;
    grads.set({rows.data(), rows.size(), values, 2});
    CHECK(grads.gather(6, set) == SparseRows::kAllValid);
    CHECK(grads.size() == 3);
    CHECK(grads.row(0) == 5 && grads.grad(0)[0] == 37 && grads.grad(0)[1] == 370);
    CHECK(grads.row(1) == 1 && grads.grad(1)[0] == 18 && grads.grad(1)[1] == 180);
    CHECK(grads.row(2) == 2 && grads.grad(2)[0] == 8 && grads.grad(2) == values + 6);
    CHECK(memcmp(values, before.data(), sizeof values) == 0);
    // The next step finds room for the same sums where these are.
    const float* const sum = grads.grad(1);
    grads.gather(6, set);
    CHECK(grads.grad(1) == sum && sum[0] == 18);
  });
}

TEST("sums are made in the order given, in float") {
  forEachSet([](const KernelSet& set) {
    const uint32_t rows[] = {0, 0, 0};
    // In another order, or in double, the 1 would survive.
    float values[] = {1e8f, 1, -1e8f};
    SparseRows grads;
    grads.set({rows, 3, values, 1});
    CHECK(grads.gather(1, set) == SparseRows::kAllValid);
    CHECK(grads.size() == 1 && grads.grad(0)[0] == 0);
    values[1] = -1e8f, values[2] = 1;
    grads.gather(1, set);
    CHECK(grads.grad(0)[0] == 1);
    // Two large numbers may be too large together.
    values[0] = values[1] = 3e38f;
    grads.gather(1, set);
    CHECK(isinf(grads.grad(0)[0]));
  });
}

TEST("the first row that is not below the limit is told by its position") {
  forEachSet([](const KernelSet& set) {
    const uint32_t minusOne = static_cast<uint32_t>(-1);
    for (uint32_t bad : {4u, 5u, 0x7fffffffu, 0x80000000u, minusOne}) {
      for (size_t at = 0; at < 5; ++at) {
        uint32_t rows[] = {0, 3, 1, 3, 2};
        float values[] = {1, 2, 3, 4, 5};
        rows[at] = bad;
        SparseRows grads;
        grads.set({rows, 5, values, 1});
        CHECK(grads.gather(4, set) == at);
        // It is mended, and gathered as if nothing had been.
        rows[at] = 0;
        CHECK(grads.gather(4, set) == SparseRows::kAllValid);
        CHECK(Expected(std::vector<uint32_t>(rows, rows + 5), values, 1).equals(grads, 1));
      }
    }
    const uint32_t zero[] = {0};
    float value[] = {1};
    SparseRows grads;
    grads.set({zero, 1, value, 1});
    CHECK(grads.gather(0, set) == 0);
    CHECK(grads.gather(1, set) == SparseRows::kAllValid);
  });
}

TEST("no rows at all") {
  forEachSet([](const KernelSet& set) {
    SparseRows grads;
    CHECK(grads.gather(0, set) == SparseRows::kAllValid && grads.size() == 0);
    grads.zero();
    const uint32_t rows[] = {1, 1};
    float values[] = {1, 2};
    grads.set({rows, 2, values, 1});
    CHECK(grads.gather(2, set) == SparseRows::kAllValid && grads.size() == 1);
    grads.set({nullptr, 0, nullptr, 0});
    CHECK(grads.gather(2, set) == SparseRows::kAllValid && grads.size() == 0);
    grads.zero();
    CHECK(values[0] == 1 && values[1] == 2);
  });
}

TEST("other arrays, more or fewer of them, and rows that change in place") {
  forEachSet([](const KernelSet& set) {
    SparseRows grads;
    for (size_t count : {100, 3, 1000, 1, 17}) {
      std::vector<uint32_t> rows(count);
      Buffer values(count * 3);
      Random(static_cast<uint32_t>(count)).fill(&values, Values::kOrdinary);
      for (size_t i = 0; i < count; ++i) rows[i] = static_cast<uint32_t>(i * 7 % 50);
      grads.set({rows.data(), count, values.data(), 3});
      CHECK(grads.gather(50, set) == SparseRows::kAllValid);
      CHECK(Expected(rows, values.data(), 3).equals(grads, 3));
      for (uint32_t& row : rows) row = row / 2;
      grads.gather(50, set);
      CHECK(Expected(rows, values.data(), 3).equals(grads, 3));
    }
  });
}

TEST("row lengths at the edges of every register") {
  forEachSet([](const KernelSet& set) {
    for (size_t length = 1; length <= 33; ++length) CHECK(gathers(set, {3, 1, 3, 3, 0, 1}, length, 4));
    for (size_t length : {1000, 2003}) CHECK(gathers(set, {3, 1, 3, 3, 0, 1}, length, 4));
  });
}

// The table of up to 8 rows has 16 slots; these all want the same one: its last, from which the search goes on at the
// first, or one in the middle.
TEST("rows that collide in the hash table") {
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

TEST("many rows: close together, far apart, at equal distances, all the same, the largest") {
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

TEST("zero() sets all values to 0, those of rows that were summed too, and nothing beside them") {
  forEachSet([](const KernelSet& set) {
    const std::vector<uint32_t> rows = {2, 0, 2};
    Buffer values(9);
    Random(1).fill(&values, Values::kAny);
    SparseRows grads;
    grads.set({rows.data(), rows.size(), values.data(), 3});
    grads.gather(3, set);
    grads.zero();
    for (size_t i = 0; i < values.length(); ++i) CHECK(values.bits(i) == 0);
    CHECK(values.guarded());
  });
}
