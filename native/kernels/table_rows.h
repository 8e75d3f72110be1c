#pragma once
// What a sparse model reads of a table: its rows by number. The caller has checked all numbers.
namespace ISA {
/// Calls visit(i, row) for each named row of a table, with rows ahead on their way to the cache.
template <class Visit>
ALWAYS_INLINE void forEachRow(const TableRows& rows, size_t width, Visit visit) {
  for (size_t i = 0; i < rows.count; ++i) {
    if (i + kRowsAhead < rows.count) prefetchRow<kRead>(rows.table + rows.names[i + kRowsAhead] * width, width);
    visit(i, rows.table + rows.names[i] * width);
  }
}

/// Calls step(memory, i) for each vector of a row, and for what is left of it.
template <class Step>
ALWAYS_INLINE void forEachVector(size_t width, Step step) {
  size_t i = 0;
  for (; i + Vec::kLanes <= width; i += Vec::kLanes) step(Whole(), i);
  if (i < width) step(Part{width - i}, i);
}

inline void gatherRows(const TableRows& rows, size_t width, float* out) {
  forEachRow(rows, width, [=](size_t i, const float* row) {
    float* const target = out + i * width;
    forEachVector(width, [=](auto memory, size_t k) { memory.store(memory.load(row + k), target + k); });
  });
}

/// out[i] = factors[i] * row i
inline void scaleRows(const TableRows& rows, const float* factors, size_t width, float* out) {
  forEachRow(rows, width, [=](size_t i, const float* row) {
    float* const target = out + i * width;
    const Vec factor(factors[i]);
    forEachVector(width, [=](auto memory, size_t k) { memory.store(factor * memory.load(row + k), target + k); });
  });
}

/// out[i] = the dot product of row i of one table and row i of the other: float64 sums over chunks of kChunk.
inline void dotRows(const TableRows& a, const TableRows& b, size_t width, float* out) {
  for (size_t i = 0; i < a.count; ++i) {
    if (i + kRowsAhead < a.count) {
      prefetchRow<kRead>(a.table + a.names[i + kRowsAhead] * width, width);
      prefetchRow<kRead>(b.table + b.names[i + kRowsAhead] * width, width);
    }
    const float* const x = a.table + a.names[i] * width;
    const float* const y = b.table + b.names[i] * width;
    double total = 0;
    for (size_t begin = 0; begin < width; begin += kChunk) {
      const size_t length = width - begin < kChunk ? width - begin : kChunk;
      total = total + dot<float, float>(x + begin, y + begin, length);
    }
    out[i] = static_cast<float>(total);
  }
}

/// out = the mean of the rows: their float32 sum in the order of their names, divided by their number. 0 if there are
/// none.
inline void meanRow(const TableRows& rows, size_t width, float* out) {
  forEachRow(rows, width, [=](size_t i, const float* row) {
    forEachVector(width, [=](auto memory, size_t k) {
      memory.store(i == 0 ? memory.load(row + k) : memory.load(out + k) + memory.load(row + k), out + k);
    });
  });
  const Vec count(static_cast<float>(rows.count));
  forEachVector(width, [=](auto memory, size_t k) {
    memory.store(rows.count == 0 ? Vec(0.0f) : memory.load(out + k) / count, out + k);
  });
}

/// A vector that an array can have before it is set.
struct Sum : Vec {
  Sum() : Vec(0.0f) {}
  void operator=(Vec value) { static_cast<Vec&>(*this) = value; }
};

/// Adds the named rows to `out`, or writes their sum there if they begin a run: kVectors vectors from the element `k`
/// on.
template <size_t kVectors, class M>
ALWAYS_INLINE void sumStripe(M memory, const TableRows& rows, size_t width, size_t k, bool isFirst, float* out) {
  const float* const table = rows.table + k;
  const float* const from = isFirst ? table + rows.names[0] * width : out + k;
  Sum sums[kVectors];
  for (size_t v = 0; v < kVectors; ++v) sums[v] = memory.load(from + v * Vec::kLanes);
  for (size_t i = isFirst; i < rows.count; ++i) {
    const float* const row = table + rows.names[i] * width;
    for (size_t v = 0; v < kVectors; ++v) sums[v] = sums[v] + memory.load(row + v * Vec::kLanes);
  }
  for (size_t v = 0; v < kVectors; ++v) memory.store(sums[v], out + k + v * Vec::kLanes);
}

template <size_t kVectors>
ALWAYS_INLINE void sumRunsBy(const TableRows& rows, const RowRuns& runs, size_t width, float* out) {
  constexpr size_t kStripe = kVectors * Vec::kLanes;
  size_t i = 0;
  for (size_t run = 0; run < runs.count; ++run, out += width) {
    const size_t end = runs.ends[run];
    // A long run in blocks, so that not too many rows are on their way to the cache.
    for (bool isFirst = true; i < end; isFirst = false) {
      const TableRows block = {rows.table, rows.names + i, end - i < kRowsAhead ? end - i : kRowsAhead};
      for (const size_t next = i + block.count; i < next; ++i) {
        if (i + kRowsAhead >= rows.count) continue;
        prefetchRow<kRead>(rows.table + rows.names[i + kRowsAhead] * width, width);
      }
      size_t k = 0;
      for (; k + kStripe <= width; k += kStripe) sumStripe<kVectors>(Whole(), block, width, k, isFirst, out);
      for (; k + Vec::kLanes <= width; k += Vec::kLanes) sumStripe<1>(Whole(), block, width, k, isFirst, out);
      if (k < width) sumStripe<1>(Part{width - k}, block, width, k, isFirst, out);
    }
  }
}

/// out[i] = the float32 sum of the rows of run i in the order of their names. As many sums as possible stay in
/// registers while the rows of a run are read.
inline void sumRuns(const TableRows& rows, const RowRuns& runs, size_t width, float* out) {
  if (width >= 8 * Vec::kLanes) return sumRunsBy<8>(rows, runs, width, out);
  if (width >= 4 * Vec::kLanes) return sumRunsBy<4>(rows, runs, width, out);
  if (width >= 2 * Vec::kLanes) return sumRunsBy<2>(rows, runs, width, out);
  sumRunsBy<1>(rows, runs, width, out);
}
}  // namespace ISA
