// matmul: the plain triple loop to the bit, no write outside the product, with every instruction set and number of
// threads.
#include "../engine/matmul.h"

#include "../engine/parallel.h"
#include "buffer.h"
#include "check.h"
#include "random.h"
#include "sets.h"

namespace {
/// Each product is rounded, then each sum, in the order of k.
float elementAsDefined(const Factor& a, const Factor& b, size_t i, size_t j, size_t depth) {
  volatile float sum = 0;
  for (size_t k = 0; k < depth; ++k) {
    const volatile float product =
        a.data[i * a.rowStride + k * a.columnStride] * b.data[k * b.rowStride + j * b.columnStride];
    sum = sum + product;
  }
  return sum;
}

void multiply(const KernelSet& set, const Product& product, size_t threads) {
  std::vector<float> packed(matmul::packedFloats(set, product.rows, product.columns, product.depth), 7.0f);
  matmul::multiply({set, packed.data(), threads, false}, product);
}

struct Shape {
  size_t rows, columns, depth;
};

// An edge of a tile, of a block of k (256), and of a task; no rows, columns or products.
const Shape kShapes[] = {{1, 1, 1},     {2, 3, 5},   {7, 13, 11},   {14, 32, 3},  {15, 33, 4},  {6, 16, 2},
                         {17, 31, 255}, {3, 5, 256}, {29, 37, 257}, {13, 1, 300}, {1, 67, 513}, {230, 261, 5},
                         {5, 7, 0},     {0, 3, 2},   {3, 0, 2},     {59, 61, 53}};

bool isSame(float a, float b) { return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0; }
}  // namespace

TEST("a product has the bits of the triple loop, whatever the strides of its factors") {
  for (const Values values : {Values::kOrdinary, Values::kAny}) {
    Random random(1);
    for (const Shape& shape : kShapes) {
      Buffer a(shape.rows * shape.depth), b(shape.depth * shape.columns), expected(shape.rows * shape.columns);
      random.fill(&a, values);
      random.fill(&b, values);
      for (unsigned turned = 0; turned < 4; ++turned) {
        const Factor left = turned & 1 ? Factor{a.data(), 1, shape.rows} : Factor{a.data(), shape.depth, 1};
        const Factor right = turned & 2 ? Factor{b.data(), 1, shape.depth} : Factor{b.data(), shape.columns, 1};
        for (size_t i = 0; i < expected.length(); ++i) {
          expected.set(i, elementAsDefined(left, right, i / shape.columns, i % shape.columns, shape.depth));
        }
        forEachSet([&](const KernelSet& set) {
          for (size_t threads : {1, 3}) {
            Buffer out(shape.rows * shape.columns);
            multiply(set, {left, right, out.data(), shape.rows, shape.columns, shape.depth, false}, threads);
            CHECK_EQUAL(out.differs(expected), out.length());
            CHECK(out.guarded());
          }
        });
      }
      CHECK(a.guarded() && b.guarded());
    }
  }
}

TEST("a symmetric product is computed by half, with the bits of the whole") {
  Random random(2);
  for (const Shape& shape :
       {Shape{1, 1, 3}, Shape{5, 5, 7}, Shape{33, 33, 20}, Shape{97, 97, 300}, Shape{240, 240, 3}}) {
    const size_t side = shape.rows;
    Buffer x(side * shape.depth);
    random.fill(&x, Values::kOrdinary);
    const Factor plain = {x.data(), shape.depth, 1}, turned = {x.data(), 1, shape.depth};
    forEachSet([&](const KernelSet& set) {
      for (size_t threads : {1, 3}) {
        Buffer whole(side * side), half(side * side), square(side * side), halfSquare(side * side);
        multiply(set, {plain, turned, whole.data(), side, side, shape.depth, false}, threads);
        multiply(set, {plain, turned, half.data(), side, side, shape.depth, true}, threads);
        CHECK_EQUAL(half.differs(whole), half.length());
        const Factor gram = {half.data(), side, 1};
        multiply(set, {gram, gram, square.data(), side, side, side, false}, threads);
        multiply(set, {gram, gram, halfSquare.data(), side, side, side, true}, threads);
        CHECK_EQUAL(halfSquare.differs(square), square.length());
        CHECK(half.guarded() && halfSquare.guarded());
        for (size_t i = 0; i < side; ++i) {
          for (size_t j = 0; j < i; ++j) CHECK(isSame(half.data()[i * side + j], half.data()[j * side + i]));
        }
      }
    });
  }
}

TEST("combine and divide round each operation") {
  Random random(3);
  for (size_t length : {0, 1, 3, 15, 16, 17, 100}) {
    Buffer x(length), y(length);
    random.fill(&x, Values::kAny);
    random.fill(&y, Values::kAny);
    forEachSet([&](const KernelSet& set) {
      Buffer sum = y, quotient = x;
      set.matmul.combine(0.3f, x.data(), -1.7f, sum.data(), length);
      set.matmul.divide(quotient.data(), 0.7f, length);
      for (size_t i = 0; i < length; ++i) {
        const volatile float first = 0.3f * x.data()[i], second = -1.7f * y.data()[i];
        CHECK(isSame(sum.data()[i], first + second));
        CHECK(isSame(quotient.data()[i], x.data()[i] / 0.7f));
      }
      CHECK(sum.guarded() && quotient.guarded());
    });
  }
}
