// Plan::step on matrices whose kernels keep numbers of rows and of columns: those of the definition, and the same bits
// with any number of threads.
#include <float.h>
#include <math.h>
#include <string.h>

#include <algorithm>
#include <vector>

#include "check.h"
#include "control.h"
#include "spy.h"

namespace {
constexpr float kDenormal = 1e-40f;

/// All bits: 0 and -0 differ.
bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

/// What the next maxima begin with. No NaN is a maximum.
std::vector<float> raisedFrom(std::vector<float> maxima, bool flush) {
  for (float& x : maxima) x = x > 0 && !(flush && x < FLT_MIN) ? x : 0;
  return maxima;
}

/// Four steps of SM3, on other numbers of threads in turns. Compares the maxima with those of the definition. Returns
/// the param.
std::vector<float> checkMaxima(const KernelSet& set, const Kernel* kernel, size_t rows, size_t columns, size_t threads,
                               bool flush) {
  const size_t length = rows * columns;
  Control control = idle();
  control.flushDenormals = flush;
  float row[kPassFloats + 4] = {1, INFINITY, 0, 1, 0, 0, 0, 0.1f, 0, 1, 0};
  int32_t rowOf[1] = {};
  Plan plan(set, 1, {&control, row, kPassFloats + 4, rowOf});
  std::vector<float> param(length, 1.0f), grad(length), rowMax(rows, 0.0f), colMax(columns, 0.0f);
  const Span span = {param.data(), nullptr, nullptr, {rowMax.data(), colMax.data()}, length, false};
  plan.setTensor(0, kernel, span, columns);
  plan.setGrad(0, grad.data());
  for (int step = 0; step < 4; ++step) {
    // Smaller gradients on lower maxima: nothing of the steps before may be left.
    const float size = step < 2 ? 1 : 0.125f;
    for (size_t i = 0; i < length; ++i) grad[i] = size * sinf(static_cast<float>(i * 7 + static_cast<size_t>(step)));
    grad[length / 2] = NAN;
    if (step == 2) {
      for (std::vector<float>* maxima : {&rowMax, &colMax}) {
        std::fill(maxima->begin(), maxima->end(), 0.0f);
        const float values[] = {NAN, -1, -0.0f, kDenormal};
        for (size_t i = 0; i < 4 && i < maxima->size(); ++i) (*maxima)[i] = values[i];
      }
    }
    std::vector<float> ofRows = raisedFrom(rowMax, flush), ofColumns = raisedFrom(colMax, flush);
    for (size_t i = 0; i < length; ++i) {
      const size_t r = i / columns, c = i % columns;
      const float square = grad[i] * grad[i];
      const float number = (rowMax[r] < colMax[c] ? rowMax[r] : colMax[c]) + square;
      if (number > ofRows[r]) ofRows[r] = number;
      if (number > ofColumns[c]) ofColumns[c] = number;
    }
    const Environment environment(step % 2 == 0 ? threads : 1 + threads / 2);
    plan.step();
    CHECK_EQUAL(control.applied, 1);
    CHECK(same(rowMax, ofRows));
    CHECK(same(colMax, ofColumns));
  }
  for (float& x : param) x = isnan(x) ? 0 : x;
  return param;
}
}  // namespace

TEST("plan matrix: maxima of rows and columns are those of the definition, with any number of threads") {
  const KernelSet& set = widestSet();
  const Kernel* const kernel = kernelNamed(set, "sm3-factored");
  const size_t shapes[][2] = {{601, 131}, {70, 1003}, {3, 20001}, {1, 30001}, {30001, 1}};
  for (const auto& [rows, columns] : shapes) {
    for (bool flush : {false, true}) {
      const std::vector<float> expected = checkMaxima(set, kernel, rows, columns, 1, flush);
      CHECK(std::count(expected.begin(), expected.end(), 1.0f) < static_cast<std::ptrdiff_t>(expected.size() / 2));
      for (size_t threads : {2, 8}) CHECK(same(checkMaxima(set, kernel, rows, columns, threads, flush), expected));
    }
  }
}

TEST("plan matrix: threads take part in the maxima") {
  const Environment environment(2);
  Spy spy(widestSet(), "sm3-factored");
  checkMaxima(spy.set(), spy.kernel(), 601, 131, 2, false);
  CHECK_EQUAL(spy.threads(), 2);
}

TEST("plan matrix: a plan of all kinds of kernels steps each of them, and leaves those that take no part") {
  const KernelSet& set = widestSet();
  const char* const names[] = {"sm3-factored", "adafactor-factored", "sm3-factored", "adafactor-factored", "sm3"};
  constexpr size_t kTensors = sizeof names / sizeof *names, kRows = 300, kColumns = 131, kLength = kRows * kColumns;
  constexpr size_t kStride = kPassFloats + 13;
  for (size_t threads : {1, 2, 3}) {
    const Environment environment(threads);
    Control control = idle();
    float row[kStride] = {1, INFINITY, 0, 1, 0, 0, 0, 0.5f, 0.5f, 0.1f, 1e-3f, 1, 0, 0, 0.1f, 1, 0, 0, 0, 1};
    int32_t rowOf[kTensors] = {0, 0, -1, -1, 0};
    Plan plan(set, kTensors, {&control, row, kStride, rowOf});
    std::vector<std::vector<float>> memory;
    for (size_t t = 0; t < kTensors; ++t) {
      for (size_t length : {kLength, kLength, kLength, kColumns}) memory.emplace_back(length, 0.5f);
      std::vector<float>* const of = &memory[4 * t];
      const Span span = {of[0].data(), nullptr, nullptr, {of[2].data(), of[3].data()}, kLength, false};
      plan.setTensor(t, kernelNamed(set, names[t]), span, kColumns);
      plan.setGrad(t, of[1].data());
    }
    plan.step();
    CHECK_EQUAL(control.applied, 1);
    for (size_t t = 0; t < kTensors; ++t) {
      const bool isActive = rowOf[t] >= 0, hasColumns = strcmp(names[t], "sm3") != 0;
      CHECK_EQUAL(memory[4 * t][kLength / 2] != 0.5f, isActive);
      CHECK_EQUAL(memory[4 * t + 3][kColumns / 2] != 0.5f, isActive && hasColumns);
    }
  }
}

TEST("plan matrix: means of rows and columns are those of the definition, with any number of threads") {
  const float beta2 = 0.75f, eps1 = 0.125f, l2 = 0.5f, clip = 1.5f;
  const auto average = [=](double square, float before) {
    return beta2 * before + (1 - beta2) * (static_cast<float>(square) + eps1);
  };
  const size_t shapes[][2] = {{601, 131}, {20, 5003}, {9, 4096}, {9, 4097}, {3, 20001}, {1, 30001}, {30001, 1}};
  for (const auto& [rows, columns] : shapes) {
    const size_t length = rows * columns;
    for (bool isNeutral : {true, false}) {
      std::vector<float> expected;
      for (size_t threads : {1, 2, 8}) {
        const Environment environment(threads);
        const KernelSet& set = widestSet();
        Control control = idle();
        float row[kPassFloats + 13] = {1,     INFINITY, 0, 1, 0,    0, 0, beta2, 1 - beta2, eps1,
                                       1e-3f, 1,        0, 0, 0.1f, 1, 0, 0,     0,         1};
        if (!isNeutral) row[0] = 2, row[1] = clip, row[2] = l2;
        int32_t rowOf[1] = {};
        Plan plan(set, 1, {&control, row, kPassFloats + 13, rowOf});
        std::vector<float> param(length), grad(length), rowAvg(rows, 1.0f), colAvg(columns, 1.0f);
        for (size_t i = 0; i < length; ++i) param[i] = cosf(static_cast<float>(i));
        const Span span = {param.data(), nullptr, nullptr, {rowAvg.data(), colAvg.data()}, length, false};
        plan.setTensor(0, kernelNamed(set, "adafactor-factored"), span, columns);
        plan.setGrad(0, grad.data());
        for (int step = 0; step < 2; ++step) {
          std::vector<double> ofRows(rows, 0.0), ofColumns(columns, 0.0);
          for (size_t i = 0; i < length; ++i) {
            grad[i] = sinf(static_cast<float>(i * 7 + static_cast<size_t>(step)));
            float g = grad[i];
            if (!isNeutral) g = std::min(clip, std::max(-clip, 2 * g)) + l2 * param[i];
            ofRows[i / columns] += static_cast<double>(g) * static_cast<double>(g);
            ofColumns[i % columns] += static_cast<double>(g) * static_cast<double>(g);
          }
          const std::vector<float> rowsBefore = rowAvg, columnsBefore = colAvg;
          plan.step();
          for (size_t i = 0; i < columns; ++i) {
            CHECK_EQUAL(colAvg[i], average(ofColumns[i] / static_cast<double>(rows), columnsBefore[i]));
          }
          for (size_t i = 0; i < rows; ++i) {  // the sums of rows have another order
            CHECK(fabsf(rowAvg[i] - average(ofRows[i] / static_cast<double>(columns), rowsBefore[i])) < 1e-6f);
          }
        }
        param.insert(param.end(), rowAvg.begin(), rowAvg.end());
        if (threads == 1) expected = param;
        CHECK(same(param, expected));
      }
    }
  }
}
