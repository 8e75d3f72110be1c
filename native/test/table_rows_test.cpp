// Reads of rows of tables: every instruction set against plain loops, and any number of threads against one.
#include "../engine/table_rows.h"

#include <string.h>

#include <vector>

#include "../engine/parallel.h"
#include "check.h"
#include "random.h"
#include "sets.h"

namespace {
constexpr size_t kRows = 50;

struct Inputs {
  std::vector<float> table, factors;
  std::vector<uint32_t> names;
};

Inputs inputsOf(size_t width, size_t count) {
  Random random(width);
  Inputs inputs;
  for (size_t i = 0; i < kRows * width; ++i) inputs.table.push_back(random.fraction() - 0.5f);
  for (size_t i = 0; i < count; ++i) {
    inputs.factors.push_back(random.fraction());
    inputs.names.push_back(static_cast<uint32_t>(random.fraction() * kRows));
  }
  return inputs;
}

bool isEqual(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct Outputs {
  std::vector<float> gathered, scaled, dots, means;
};

Outputs outputsOf(const KernelSet& set, const Inputs& inputs, size_t width) {
  const size_t count = inputs.names.size();
  tables::Names names;
  CHECK(names.read(inputs.names.data(), count, kRows) == tables::Names::kAllValid);
  const TableRows rows = names.of(inputs.table.data());
  const uint32_t offsets[] = {0, 0, 1, static_cast<uint32_t>(count / 2)};
  Outputs out = {std::vector<float>(count * width), std::vector<float>(count * width), std::vector<float>(count),
                 std::vector<float>(4 * width)};
  tables::gather(set, rows, width, out.gathered.data());
  tables::scale(set, rows, inputs.factors.data(), width, out.scaled.data());
  tables::dots(set, rows, rows, width, out.dots.data());
  tables::means(set, rows, offsets, 4, width, out.means.data());
  return out;
}
}  // namespace

TEST("table rows: every instruction set agrees with plain loops") {
  for (const size_t width : {1, 3, 16, 17, 64, 100}) {
    const Inputs inputs = inputsOf(width, 40);
    forEachSet([&](const KernelSet& set) {
      const Outputs out = outputsOf(set, inputs, width);
      for (size_t i = 0; i < 40 * width; ++i) {
        const float number = inputs.table[inputs.names[i / width] * width + i % width];
        CHECK_EQUAL(out.gathered[i], number);
        CHECK_EQUAL(out.scaled[i], inputs.factors[i / width] * number);
      }
      for (size_t k = 0; k < width; ++k) {
        CHECK_EQUAL(out.means[k], 0);
        CHECK_EQUAL(out.means[width + k], inputs.table[inputs.names[0] * width + k]);
        float sum = inputs.table[inputs.names[20] * width + k];
        for (size_t i = 21; i < 40; ++i) sum = sum + inputs.table[inputs.names[i] * width + k];
        CHECK_EQUAL(out.means[3 * width + k], sum / 20.0f);
      }
      if (width > 1) return;
      for (size_t i = 0; i < 40; ++i) CHECK_EQUAL(out.dots[i], out.gathered[i] * out.gathered[i]);
    });
  }
}

TEST("table rows: sums of runs are in the order of the names") {
  const std::vector<uint32_t> ends = {1, 3, 4, 36, 52, 100};
  for (const size_t width : {1, 3, 12, 16, 17, 48, 64, 100, 130, 200}) {
    const Inputs inputs = inputsOf(width, 100);
    forEachSet([&](const KernelSet& set) {
      std::vector<float> sums(ends.size() * width);
      set.tables.sums({inputs.table.data(), inputs.names.data(), 100}, {ends.data(), ends.size()}, width, sums.data());
      for (size_t run = 0; run < ends.size(); ++run) {
        for (size_t k = 0; k < width; ++k) {
          const size_t begin = run == 0 ? 0 : ends[run - 1];
          float sum = inputs.table[inputs.names[begin] * width + k];
          for (size_t i = begin + 1; i < ends[run]; ++i) sum = sum + inputs.table[inputs.names[i] * width + k];
          CHECK_EQUAL(sums[run * width + k], sum);
        }
      }
    });
  }
}

TEST("table rows: the same bits on every instruction set and any number of threads") {
  const size_t width = 33;
  const Inputs inputs = inputsOf(width, 20000);
  parallel::retain();
  parallel::setThreads(1);
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  const Outputs truth = outputsOf(*sets[count - 1], inputs, width);
  forEachSet([&](const KernelSet& set) {
    for (const size_t threads : {1, 2, 4}) {
      parallel::setThreads(threads, true);
      const Outputs out = outputsOf(set, inputs, width);
      CHECK(isEqual(out.gathered, truth.gathered));
      CHECK(isEqual(out.scaled, truth.scaled));
      CHECK(isEqual(out.dots, truth.dots));
      CHECK(isEqual(out.means, truth.means));
    }
  });
  parallel::setThreads(1);
  parallel::release();
}

TEST("table rows: a name out of range is found where it stands") {
  tables::Names names;
  const uint32_t rows[] = {4, 0, 5, 6};
  CHECK(names.read(rows, 4, 7) == tables::Names::kAllValid);
  CHECK(names.read(rows, 4, 6) == 3);
  CHECK(names.read(rows, 4, 5) == 2);
  CHECK(names.read(rows, 4, 0) == 0);
  CHECK(names.read(rows, 0, 0) == tables::Names::kAllValid);
}
