#include "table_rows.h"

#include "blocks.h"

namespace tables {
namespace {
// Floats that a thread claims at a time.
constexpr size_t kClaim = 16 * 1024;

size_t rowsPerBlock(size_t width) { return width == 0 || width >= kClaim ? 1 : kClaim / width; }

TableRows part(const TableRows& rows, size_t begin, size_t count) { return {rows.table, rows.names + begin, count}; }
}  // namespace

size_t Names::read(const uint32_t* rows, size_t count, size_t limit) {
  names_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    names_[i] = rows[i];
    if (names_[i] >= limit) return i;
  }
  return kAllValid;
}

void gather(const KernelSet& set, const TableRows& rows, size_t width, float* out) {
  forEachBlock(rows.count, rowsPerBlock(width), 2 * width * sizeof(float), [&](size_t, size_t begin, size_t count) {
    set.tables.gather(part(rows, begin, count), width, out + begin * width);
  });
}

void scale(const KernelSet& set, const TableRows& rows, const float* factors, size_t width, float* out) {
  forEachBlock(rows.count, rowsPerBlock(width), 2 * width * sizeof(float), [&](size_t, size_t begin, size_t count) {
    set.tables.scale(part(rows, begin, count), factors + begin, width, out + begin * width);
  });
}

void dots(const KernelSet& set, const TableRows& a, const TableRows& b, size_t width, float* out) {
  forEachBlock(a.count, rowsPerBlock(width), 2 * width * sizeof(float), [&](size_t, size_t begin, size_t count) {
    set.tables.dots(part(a, begin, count), part(b, begin, count), width, out + begin);
  });
}

void means(const KernelSet& set, const TableRows& rows, const uint32_t* offsets, size_t bags, size_t width,
           float* out) {
  const size_t bytesPerBag = bags == 0 ? 0 : rows.count / bags * width * sizeof(float);
  forEachBlock(bags, rowsPerBlock(width), bytesPerBag, [&](size_t, size_t begin, size_t count) {
    for (size_t bag = begin; bag < begin + count; ++bag) {
      const size_t first = offsets[bag], end = bag + 1 < bags ? offsets[bag + 1] : rows.count;
      set.tables.mean(part(rows, first, end - first), width, out + bag * width);
    }
  });
}

}  // namespace tables
