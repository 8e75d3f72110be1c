// linalg: exact results, no write outside the vectors, with every instruction set and number of threads.
#include "../engine/linalg.h"

#include "../engine/parallel.h"
#include "buffer.h"
#include "check.h"
#include "random.h"
#include "sets.h"

namespace {
using linalg::Columns;
using linalg::Vector;

/// Floats or doubles between guards, aligned to no more than their size.
class Numbers {
 public:
  Numbers(size_t length, bool isFloat, Random* random, Values values)
      : doubles_(isFloat ? 0 : length + 2, kGuard), floats_(isFloat ? length : 0), length_(length), isFloat_(isFloat) {
    Buffer source(length);
    random->fill(&source, values);
    // Doubles get digits that a float cannot represent.
    for (size_t i = 0; i < length; ++i) set(i, static_cast<double>(source.data()[i]) * (isFloat ? 1 : 1.0000000123));
  }

  Vector vector() {
    return {isFloat_ ? static_cast<void*>(floats_.data()) : doubles_.data() + 1, isFloat_ ? kFloat : kDouble};
  }
  double* doubles() { return doubles_.data() + 1; }
  double at(size_t i) { return isFloat_ ? static_cast<double>(floats_.data()[i]) : doubles_[i + 1]; }
  void set(size_t i, double value) {
    if (isFloat_) {
      floats_.set(i, static_cast<float>(value));
    } else {
      doubles_[i + 1] = value;
    }
  }
  size_t length() const { return length_; }
  bool guarded() const {
    return isFloat_ ? floats_.guarded() : doubles_.front() == kGuard && doubles_.back() == kGuard;
  }
  bool equals(Numbers& other) {
    for (size_t i = 0; i < length_; ++i) {
      if (!same(at(i), other.at(i))) return false;
    }
    return true;
  }
  static bool same(double a, double b) { return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0; }

 private:
  static constexpr double kGuard = 12345.678;
  std::vector<double> doubles_;
  Buffer floats_;
  size_t length_;
  bool isFloat_;
};

double dotAsDefined(Numbers& x, Numbers& y, size_t chunk = 16384) {
  double sum = 0;
  for (size_t begin = 0; begin < x.length(); begin += chunk) {
    double lanes[16] = {};
    for (size_t i = begin; i < x.length() && i < begin + chunk; ++i) lanes[(i - begin) % 16] += x.at(i) * y.at(i);
    for (size_t half = 8; half > 0; half /= 2) {
      for (size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    }
    sum += lanes[0];
  }
  return sum;
}

/// Calls check(x, y, out, z) for all combinations of float and double.
template <class F>
void forEachTypes(size_t length, Values values, F check) {
  for (unsigned types = 0; types < 16; ++types) {
    Random random(static_cast<uint32_t>(length) + types);
    Numbers x(length, types & 1, &random, values), y(length, types & 2, &random, values);
    Numbers out(length, types & 4, &random, values), z(length, types & 8, &random, values);
    check(x, y, out, z);
    CHECK(x.guarded() && y.guarded() && out.guarded() && z.guarded());
  }
}

const size_t kLengths[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 16383, 16384, 16385};
}  // namespace

TEST("linalg: dot and axpby are exact to the bit") {
  for (Values values : {Values::kOrdinary, Values::kAny}) {
    for (size_t length : kLengths) {
      forEachTypes(length, values, [&](Numbers& x, Numbers& y, Numbers& out, Numbers& z) {
        const double product = dotAsDefined(x, y), a = 1.1, b = -1.0 / 3;
        Numbers expected = out;
        for (size_t i = 0; i < length; ++i) {
          const double first = a * x.at(i), second = b * y.at(i);
          expected.set(i, first + second);
        }
        const double sum = dotAsDefined(expected, z);
        forEachSet([&](const KernelSet& set) {
          CHECK(Numbers::same(linalg::dot(set, x.vector(), y.vector(), length), product));
          for (bool hasDot : {false, true}) {
            Numbers actual = out;
            const Vector other = hasDot ? z.vector() : Vector{nullptr, kNoElement};
            const double found = linalg::axpby(set, {a, x.vector(), b, y.vector(), actual.vector(), other}, length);
            CHECK(actual.equals(expected) && actual.guarded());
            CHECK(Numbers::same(found, hasDot ? sum : 0));
          }
        });
      });
    }
  }
}

TEST("linalg: multiply, maxAbs and maxAbsDifference are exact to the bit") {
  for (Values values : {Values::kOrdinary, Values::kAny}) {
    for (size_t length : kLengths) {
      forEachTypes(length, values, [&](Numbers& x, Numbers& y, Numbers& out, Numbers&) {
        Numbers expected = out;
        double largest = 0, largestDifference = 0;
        for (size_t i = 0; i < length; ++i) {
          expected.set(i, 0.1 * x.at(i));
          const double size = fabs(x.at(i)), difference = fabs(x.at(i) - y.at(i));
          largest = isnan(largest) || size <= largest ? largest : size;
          largestDifference =
              isnan(largestDifference) || difference <= largestDifference ? largestDifference : difference;
        }
        forEachSet([&](const KernelSet& set) {
          Numbers actual = out;
          linalg::multiply(set, 0.1, x.vector(), actual.vector(), length);
          CHECK(actual.equals(expected) && actual.guarded());
          CHECK(Numbers::same(linalg::maxAbs(set, x.vector(), length), largest));
          CHECK(Numbers::same(linalg::maxAbsDifference(set, x.vector(), y.vector(), length), largestDifference));
        });
      });
    }
  }
}

namespace {
/// A tall matrix: its columns and their addresses.
struct Tall {
  Tall(size_t rows, size_t count, uint32_t seed) : rows(rows) {
    Random random(seed);
    for (size_t k = 0; k < count; ++k) columns.emplace_back(rows, false, &random, Values::kOrdinary);
  }
  Columns view() {
    addresses.clear();
    for (Numbers& column : columns) addresses.push_back(column.doubles());
    return {addresses.data(), columns.size(), rows};
  }
  bool equals(Tall& other) {
    bool all = true;
    for (size_t k = 0; k < columns.size(); ++k)
      all = all && columns[k].equals(other.columns[k]) && columns[k].guarded();
    return all;
  }
  std::vector<Numbers> columns;
  std::vector<double*> addresses;
  size_t rows;
};

/// x = x + P weights, in the defined order.
void addAsDefined(Tall& p, const double* weights, Numbers* x) {
  const size_t count = p.columns.size();
  for (size_t k = 0; k < count; k += 4) {
    const auto part = [&](size_t j, size_t i) {
      return (j < count ? weights[j] : 0) * p.columns[j < count ? j : count - 1].at(i);
    };
    for (size_t i = 0; i < p.rows; ++i) {
      const double first = part(k, i) + part(k + 1, i), second = part(k + 2, i) + part(k + 3, i);
      x->set(i, x->at(i) + (first + second));
    }
  }
}

void compareTall(size_t rows, size_t count) {
  Random random(9);
  Tall p(rows, count, 1);
  Numbers x(rows, false, &random, Values::kOrdinary), weights(count, false, &random, Values::kOrdinary);
  const size_t qRows = (count + 1) / 2;
  Tall q(count, qRows, 2), expectedColumns(rows, count, 3);
  Numbers sum = x;
  addAsDefined(p, weights.doubles(), &sum);
  for (size_t k = 0; k < count; ++k) {
    for (size_t i = 0; i < rows; ++i) expectedColumns.columns[k].set(i, 0);
    if (k < qRows) addAsDefined(p, q.columns[k].doubles(), &expectedColumns.columns[k]);
  }
  forEachSet([&](const KernelSet& set) {
    std::vector<double> out(count), products(count * count);
    linalg::project(set, p.view(), x.doubles(), out.data());
    linalg::gram(set, p.view(), products.data());
    for (size_t k = 0; k < count; ++k) {
      CHECK_EQUAL(out[k], dotAsDefined(p.columns[k], x));
      for (size_t j = 0; j < count; ++j) {
        CHECK_EQUAL(products[k * count + j], dotAsDefined(p.columns[k], p.columns[j], 1024));
      }
    }
    Numbers actual = x;
    linalg::addCombination(set, p.view(), weights.doubles(), actual.doubles());
    CHECK(actual.equals(sum) && actual.guarded());
    Tall copy = p;
    linalg::gemmInPlace(set, copy.view(), q.view().columns, qRows);
    CHECK(copy.equals(expectedColumns));
  });
}
}  // namespace

TEST("linalg: operations on tall matrices are exact to the bit") {
  for (size_t rows : {0, 1, 5, 255, 257, 1023, 1025, 2049, 16385}) {
    for (size_t count : {0, 1, 2, 3, 4, 5, 8}) compareTall(rows, count);
  }
}

TEST("linalg: the same bits with 1, 2, 3 and 8 threads") {
  constexpr size_t kLength = 100003;
  const KernelSet& set = widestSet();
  Random random(5);
  Numbers x(kLength, true, &random, Values::kOrdinary), y(kLength, false, &random, Values::kOrdinary);
  const double product = dotAsDefined(x, y), squares = dotAsDefined(x, x);
  Numbers bad = y;
  bad.set(90000, NAN);
  parallel::retain();
  for (size_t threads : {1, 2, 3, 8}) {
    parallel::setThreads(threads, true);
    Numbers out = y;
    CHECK_EQUAL(linalg::dot(set, x.vector(), y.vector(), kLength), product);
    CHECK_EQUAL(linalg::axpby(set, {1, x.vector(), 0, y.vector(), out.vector(), out.vector()}, kLength), squares);
    CHECK_EQUAL(linalg::maxAbsDifference(set, x.vector(), out.vector(), kLength), 0);
    CHECK(isnan(linalg::maxAbs(set, bad.vector(), kLength)));
    compareTall(50001, 5);
  }
  parallel::setThreads(1);
  parallel::release();
}
