#include "matmul.h"

#include <string.h>

#include "denormals.h"
#include "parallel.h"

namespace matmul {
namespace {
// Products of an element that are added in one go: so many numbers of a tile's factors stay in the L1 cache.
constexpr size_t kDepth = 256;
// Tiles of a task, in rows and in columns: their packed factors stay in the L2 cache.
constexpr size_t kTaskRows = 16, kTaskColumns = 8;
// Lines of a factor that are transposed together.
constexpr size_t kTogether = 4;
// Rows and columns of a symmetric product that are mirrored at a time.
constexpr size_t kStrip = 16;

size_t divideUp(size_t a, size_t b) { return (a + b - 1) / b; }
size_t least(size_t a, size_t b) { return a < b ? a : b; }

/// A factor, seen from the sum: its lines are the rows of a, or the columns of b.
struct Lines {
  const float* data;
  size_t stride, depthStride;  ///< from line to line, and from one product to the next
  size_t count;
};

/// Copies kTogether lines that are contiguous: one store for the numbers of a product.
void packTogether(const float* from, size_t stride, size_t width, size_t depth, float* out) {
  for (size_t d = 0; d < depth; ++d) {
    float numbers[kTogether];
    for (size_t i = 0; i < kTogether; ++i) numbers[i] = from[i * stride + d];
    memcpy(out + d * width, numbers, sizeof numbers);
  }
}

/// Copies `count` lines so that the numbers of one product stand together. A panel is `width` lines wide; those that
/// are missing are 0.
void packPanel(const Lines& lines, size_t begin, size_t width, size_t k, size_t depth, float* out) {
  const size_t count = least(width, lines.count - begin);
  const float* const from = lines.data + begin * lines.stride + k * lines.depthStride;
  if (count < width) memset(out, 0, width * depth * sizeof(float));
  if (lines.stride == 1) {
    for (size_t d = 0; d < depth; ++d) memcpy(out + d * width, from + d * lines.depthStride, count * sizeof(float));
    return;
  }
  for (size_t line = 0; line < count; line += kTogether) {
    const size_t together = least(kTogether, count - line);
    if (together == kTogether && lines.depthStride == 1) {
      packTogether(from + line * lines.stride, lines.stride, width, depth, out + line);
    } else {
      for (size_t l = line; l < line + together; ++l) {
        for (size_t d = 0; d < depth; ++d) out[d * width + l] = from[l * lines.stride + d * lines.depthStride];
      }
    }
  }
}

/// Copies the elements below the diagonal to their places above it, for the rows from `begin` to `end`.
void mirror(float* out, size_t side, size_t begin, size_t end) {
  for (size_t column = begin; column < side; column += kStrip) {
    const size_t last = least(column + kStrip, side);
    for (size_t i = begin; i < end; ++i) {
      for (size_t j = column > i ? column : i + 1; j < last; ++j) out[i * side + j] = out[j * side + i];
    }
  }
}

/// One product, while it is computed.
class Multiplication {
 public:
  Multiplication(const Resources& resources, const Product& product)
      : resources_(resources),
        kernels_(resources.set.matmul),
        product_(product),
        a_{product.a.data, product.a.rowStride, product.a.columnStride, product.rows},
        b_{product.b.data, product.b.columnStride, product.b.rowStride, product.columns},
        tilesDown_(divideUp(product.rows, kernels_.tileRows)),
        tilesAcross_(divideUp(product.columns, kernels_.tileColumns)) {}

  void run() {
    if (product_.depth == 0) memset(product_.out, 0, product_.rows * product_.columns * sizeof(float));
    for (size_t k = 0; k < product_.depth; k += kDepth) addBlock(k, least(kDepth, product_.depth - k));
    if (!product_.isSymmetric) return;
    forEachTask(divideUp(product_.rows, kStrip), [this](size_t i) {
      mirror(product_.out, product_.rows, i * kStrip, least((i + 1) * kStrip, product_.rows));
    });
  }

 private:
  /// Adds the products from number `k` on to all elements.
  void addBlock(size_t k, size_t depth) {
    const size_t sizeA = kernels_.tileRows * depth, sizeB = kernels_.tileColumns * depth;
    float* const a = resources_.packed;
    float* const b = a + tilesDown_ * sizeA;
    forEachTask(tilesDown_ + tilesAcross_, [=](size_t i) {
      if (i < tilesDown_) {
        packPanel(a_, i * kernels_.tileRows, kernels_.tileRows, k, depth, a + i * sizeA);
      } else {
        const size_t j = i - tilesDown_;
        packPanel(b_, j * kernels_.tileColumns, kernels_.tileColumns, k, depth, b + j * sizeB);
      }
    });
    const size_t across = divideUp(tilesAcross_, kTaskColumns);
    forEachTask(divideUp(tilesDown_, kTaskRows) * across, [=](size_t task) {
      const size_t top = task / across * kTaskRows, left = task % across * kTaskColumns;
      for (size_t j = left; j < least(left + kTaskColumns, tilesAcross_); ++j) {
        for (size_t i = top; i < least(top + kTaskRows, tilesDown_); ++i) {
          addTile(i, j, a + i * sizeA, b + j * sizeB, depth, k == 0);
        }
      }
    });
  }

  void addTile(size_t i, size_t j, const float* a, const float* b, size_t depth, bool isFirst) {
    const size_t row = i * kernels_.tileRows, column = j * kernels_.tileColumns;
    if (product_.isSymmetric && column >= row + kernels_.tileRows) return;
    kernels_.tile(a, b, depth, isFirst, product_.out + row * product_.columns + column, product_.columns,
                  least(kernels_.tileRows, product_.rows - row),
                  least(kernels_.tileColumns, product_.columns - column));
  }

  template <class Task>
  void forEachTask(size_t count, Task task) {
    parallel::forEach(count, resources_.threads, [&](size_t i) {
      const FlushDenormals flush(resources_.flushDenormals);
      task(i);
    });
  }

  const Resources& resources_;
  const MatmulKernels& kernels_;
  const Product& product_;
  const Lines a_, b_;
  const size_t tilesDown_, tilesAcross_;
};
}  // namespace

size_t packedFloats(const KernelSet& set, size_t rows, size_t columns, size_t depth) {
  const MatmulKernels& kernels = set.matmul;
  const size_t paddedRows = divideUp(rows, kernels.tileRows) * kernels.tileRows;
  const size_t paddedColumns = divideUp(columns, kernels.tileColumns) * kernels.tileColumns;
  return (paddedRows + paddedColumns) * least(depth, kDepth);
}

void multiply(const Resources& resources, const Product& product) {
  if (product.rows > 0 && product.columns > 0) Multiplication(resources, product).run();
}

}  // namespace matmul
