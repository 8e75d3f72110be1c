#pragma once
// The walk over distinct rows of a table: many rows in one call, so that constants stay in registers.
namespace ISA {
/// Prefetches the gradient, the param and the state of the row that comes kRowsAhead rows after row `n`. The gradients
/// of sorted rows lie in any order.
template <class K, size_t... S>
ALWAYS_INLINE void prefetchAhead(const Span& table, const RowList& list, size_t n, size_t length, Indices<S...>) {
  const SparseRow& next = list.rows[n + kRowsAhead < list.known ? n + kRowsAhead : list.known - 1];
  const size_t row = next.row;
  prefetchRow<kRead>(next.grad, length);
  prefetchRow<kWrite>(table.param + row * length, length);
  ((layoutOf<K>(S, 0) == kRow ? prefetch<kWrite>(table.state[S] + row)
                              : prefetchRow<kWrite>(table.state[S] + row * length, length)),
   ...);
}

/// The memory of one row of the table. With kHasEma false the table must have none.
template <bool kHasEma, class K, size_t... S>
ALWAYS_INLINE Span spanOf(const Span& table, const SparseRow& row, size_t length, Indices<S...>) {
  const size_t begin = row.row * length;
  Span span = {};
  span.param = table.param + begin;
  span.grad = row.grad;
  if (kHasEma && table.ema != nullptr) span.ema = table.ema + begin;
  ((span.state[S] = table.state[S] + (layoutOf<K>(S, 0) == kRow ? row.row : begin)), ...);
  span.length = length;
  return span;
}

/// Only scales the gradient, as a walk without extras. kLength is the length of a row, or 0 for any. A known length
/// halves the time: its loops are unrolled.
template <size_t kLength, class K>
ALWAYS_INLINE void walkRows(const Pass pass, const K kernel, const Span table, const RowList list) {
  const size_t length = kLength == 0 ? list.length : kLength;
  for (size_t n = 0; n < list.count; ++n) {
    prefetchAhead<K>(table, list, n, length, StateIndices<K>());
    walk(pass, 0, kernel, spanOf<false, K>(table, list.rows[n], length, StateIndices<K>()));
  }
}

/// The same number as meanSquare, faster for a row whose length is known.
template <size_t kLength>
ALWAYS_INLINE float meanSquareOf(const Pass& pass, const Span& row) {
  if (pass.gradScale != 1 || row.length > kPiece) return meanSquare(pass, row);
  return static_cast<float>(sumSquares(row.grad, kLength == 0 ? row.length : kLength) /
                            static_cast<double>(row.length));
}

/// With state numbers per row. Some rows together: first those numbers, then the updates, so that no update waits for
/// the sum of its own row.
template <size_t kLength, class K>
ALWAYS_INLINE void walkRowsTogether(const Pass pass, const K kernel, const Span table, const RowList list) {
  constexpr size_t kTogether = 16;
  const size_t length = kLength == 0 ? list.length : kLength;
  for (size_t begin = 0; begin < list.count; begin += kTogether) {
    const size_t end = begin + kTogether < list.count ? begin + kTogether : list.count;
    for (size_t n = begin; n < end; ++n) {
      prefetchAhead<K>(table, list, n, length, StateIndices<K>());
      const Span span = spanOf<false, K>(table, list.rows[n], length, StateIndices<K>());
      updateRow(
          kernel, span, [&] { return meanSquareOf<kLength>(pass, span); }, RowStates<K>());
    }
    for (size_t n = begin; n < end; ++n) {
      walk(pass, 0, kernel, spanOf<false, K>(table, list.rows[n], length, StateIndices<K>()));
    }
  }
}

/// Rows of one number share vectors: copies of many are updated in one walk, with `kernelRun` of struct Kernel. For
/// state per element, and without an ema.
NEVER_INLINE inline void runPacked(decltype(Kernel::run) kernelRun, size_t states, const Pass& pass,
                                   const float* constants, const Span& table, const RowList& list) {
  // So many that the copies are in the cache, and no longer on their way there, when a vector of them is read.
  constexpr size_t kPacked = 128;
  alignas(64) float packed[2 + kMaxState][kPacked];
  for (size_t begin = 0; begin < list.count; begin += kPacked) {
    const SparseRow* const rows = list.rows + begin;
    const size_t left = list.count - begin, count = left < kPacked ? left : kPacked, last = list.known - begin - 1;
    Span span = {packed[0], packed[1], nullptr, {}, count, false};
    for (size_t n = 0; n < count; ++n) {
      const size_t ahead = rows[n + kPacked < last ? n + kPacked : last].row;
      prefetch<kWrite>(table.param + ahead);
      for (size_t s = 0; s < states; ++s) prefetch<kWrite>(table.state[s] + ahead);
      span.grad[n] = *rows[n].grad;
    }
    for (size_t n = 0; n < count; ++n) span.param[n] = table.param[rows[n].row];
    for (size_t s = 0; s < states; ++s) {
      span.state[s] = packed[2 + s];
      for (size_t n = 0; n < count; ++n) span.state[s][n] = table.state[s][rows[n].row];
    }
    kernelRun(pass, constants, span);
    for (size_t n = 0; n < count; ++n) table.param[rows[n].row] = span.param[n];
    for (size_t s = 0; s < states; ++s) {
      for (size_t n = 0; n < count; ++n) table.state[s][rows[n].row] = span.state[s][n];
    }
  }
}
}  // namespace ISA
