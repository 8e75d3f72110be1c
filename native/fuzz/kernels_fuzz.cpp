// libFuzzer: every kernel of every instruction set against the scalar one, bit for bit, on any input.
//   kernels_fuzz --list                  names of the kernels and of the other operations
//   kernels_fuzz --kernel=adam -runs=N   the options of libFuzzer; adam-bfloat16: with its state in bfloat16;
//   adagrad-fma:
//                                        with a part of the roots computed with FMA
// `npm run fuzz:native` runs all of them.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <functional>
#include <string>

#include "../test/sets.h"
#include "input.h"

namespace {
constexpr size_t kLongest = 80;

[[noreturn]] void fail(const char* isa, const std::string& what) {
  fprintf(stderr, "%s differs from scalar: %s\n", isa, what.c_str());
  abort();
}

/// The values of a run that must not depend on the instruction set.
struct Outcome {
  /// With room for most: growing takes longer than most kernels.
  static std::vector<double> reserved() {
    std::vector<double> numbers;
    numbers.reserve(1024);
    return numbers;
  }
  std::vector<double> numbers = reserved();
  void add(double value) { numbers.push_back(value); }
  template <class T>
  void add(const T* values, size_t length) {
    for (size_t i = 0; i < length; ++i) numbers.push_back(static_cast<double>(values[i]));
  }
};

/// Runs `work` on every instruction set, each from the same start, and compares.
void compare(const std::function<Outcome(const KernelSet&)>& work) {
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  const Outcome expected = work(*sets[count - 1]);
  for (size_t s = 0; s + 1 < count; ++s) {
    const Outcome actual = work(*sets[s]);
    for (size_t i = 0; i < expected.numbers.size(); ++i) {
      if (same(actual.numbers[i], expected.numbers[i])) continue;
      fail(sets[s]->isa, "number " + std::to_string(i) + " is " + std::to_string(actual.numbers[i]) + ", expected " +
                             std::to_string(expected.numbers[i]));
    }
  }
}

void check(const KernelSet& set, bool holds, const char* what) {
  if (!holds) fail(set.isa, what);
}

// ---- Optimizers ----

/// The arrays of a tensor, each with guards, and how the kernel divides them.
struct Tensor {
  Tensor(const Kernel& kernel, Input* input)
      : isFactored(kernel.accumulateRow != nullptr || kernel.hasMaxima), offset(input->take<uint8_t>() % 16) {
    // What is left is shared by the arrays.
    columns = 1 + input->take<uint8_t>() % 8;
    length = input->left() / sizeof(float) / (3 + kernel.stateCount);
    if (length > kLongest) length = kLongest;
    if (isFactored) length -= length % columns;
    for (size_t a = 0; a < 3; ++a) arrays.emplace_back(input->numbers<float>(length), offset / (a + 1));
    // Indexed by Layout. Only the first state of a matrix kernel is read.
    const size_t lengths[] = {length, kernel.perRow && !isFactored ? 1 : length / columns, columns, 0};
    for (size_t s = 0; s < kernel.stateCount; ++s) {
      arrays.emplace_back(input->numbers<float>(lengths[kernel.layout[s]]), offset / (s + 1));
    }
    if (kernel.hasMaxima) arrays.emplace_back(std::vector<float>(columns), offset);
  }

  Span whole(bool hasEma, bool zeroGrad) {
    Span span = {arrays[0].data(), arrays[1].data(), hasEma ? arrays[2].data() : nullptr, {}, length, zeroGrad};
    for (size_t s = 3; s < arrays.size(); ++s) span.state[s - 3] = arrays[s].data();
    return span;
  }

  const bool isFactored;
  const size_t offset;
  size_t length, columns;
  /// Param, grad, ema, the state, and the next maxima of columns, if the kernel has some.
  std::vector<Guarded<float>> arrays;
};

/// A matrix row of a span.
Span rowOf(const Kernel& kernel, const Span& span, size_t row, size_t columns) {
  const size_t begin = row * columns;
  Span part = {span.param + begin, span.grad + begin, nullptr, {}, columns, span.zeroGrad, span.prefetch};
  if (span.ema != nullptr) part.ema = span.ema + begin;
  for (size_t s = 0; s < kernel.stateCount + kernel.hasMaxima; ++s) {
    const size_t starts[] = {begin, row, 0, 0};  // indexed by Layout
    part.state[s] = span.state[s] + starts[kernel.layout[s]];
  }
  return part;
}

/// What a step sets for all of its tensors.
Pass passOf(Input& input, uint8_t flags) {
  Pass pass = {1, INFINITY, 0, 1, 0, 0};
  if (flags & 1) pass = {input.number(), input.number(), input.number(), input.number(), input.number(), 0};
  pass.emaStart = flags & 2 ? 1 : 0;
  return pass;
}

/// A kernel's whole work on one tensor, as Plan does it.
Outcome runKernel(const KernelSet& set, size_t index, Input input) {
  const Kernel& kernel = set.kernels[index];
  const uint8_t flags = input.take<uint8_t>();
  const Pass pass = passOf(input, flags);
  std::vector<float> constants = input.numbers<float>(kMaxConstants);
  Tensor tensor(kernel, &input);
  Outcome outcome;
  if (tensor.length == 0 && (kernel.perRow || tensor.isFactored)) return outcome;  // a matrix row is never empty
  Span span = tensor.whole(flags & 4, flags & 8);
  span.prefetch = flags & 16;

  std::vector<Span> parts = {span};
  if (tensor.isFactored) {
    parts.clear();
    const size_t rows = tensor.length / tensor.columns;
    for (size_t row = 0; row < rows; ++row) parts.push_back(rowOf(kernel, span, row, tensor.columns));
    if (!kernel.hasMaxima) {
      for (const Span& part : parts) kernel.accumulateRow(pass, constants.data(), part);
      std::vector<double> columnSums(tensor.columns);
      kernel.addColumnSquares(pass, parts[0], rows, tensor.columns, columnSums.data());
      kernel.accumulateColumns(constants.data(), columnSums.data(), rows, span.state[1], tensor.columns);
      for (size_t i = 0; i < tensor.columns; ++i)
        span.state[1][i] = sqrtf(span.state[1][i]);  // as Tensor does, in a copy
      kernel.resolveMean(constants.data(), static_cast<double>(span.state[0][0]));
    }
  }
  if (kernel.measure != nullptr) {
    double sums[2] = {0, 0};
    for (const Span& part : parts) kernel.measure(pass, constants.data(), part, sums);
    outcome.add(sums, 2);
    kernel.resolve(constants.data(), sqrt(sums[0]), sqrt(sums[1]), tensor.length);
    outcome.add(constants.data(), constants.size());
  }
  for (const Span& part : parts) kernel.run(pass, constants.data(), part);
  for (Guarded<float>& array : tensor.arrays) {
    check(set, array.guarded(), "memory outside of its arrays");
    outcome.add(array.data(), array.length());
  }
  return outcome;
}

/// A kernel that may compute roots with FMA, on a span that is long enough: a few numbers, repeated.
Outcome runRoots(const KernelSet& set, size_t index, Input input) {
  const Kernel& kernel = set.kernels[index];
  const uint8_t flags = input.take<uint8_t>();
  const auto withFma = kernel.runWithFma[flags & 1];
  Pass pass = kNeutralPass;
  if (flags & 2) pass.gradScale = input.number();
  if (flags & 2) pass.decayFactor = input.number();
  const std::vector<float> constants = input.numbers<float>(kernel.constantCount);
  const size_t offset = input.take<uint8_t>() % 16, length = kMinForRoots + input.take<uint8_t>();
  const size_t given = 1 + input.left() / sizeof(float) / (2 + kernel.stateCount);
  std::vector<Guarded<float>> arrays;
  for (size_t a = 0; a < 2 + kernel.stateCount; ++a) {
    std::vector<float> numbers = input.numbers<float>(given);
    // There is no root of a negative number, and one is enough for a whole vector.
    if (a > 1 && flags & 4) {
      for (float& number : numbers) number = fabsf(number);
    }
    for (size_t i = given; i < length; ++i) numbers.push_back(numbers[i - given]);
    numbers.resize(length);
    arrays.emplace_back(numbers, offset / (a + 1));
  }
  Span span = {arrays[0].data(), arrays[1].data(), nullptr, {}, length, false, (flags & 8) != 0};
  for (size_t s = 0; s < kernel.stateCount; ++s) span.state[s] = arrays[2 + s].data();

  (withFma == nullptr ? kernel.run : withFma)(pass, constants.data(), span);
  Outcome outcome;
  for (Guarded<float>& array : arrays) {
    check(set, array.guarded(), "memory outside of its arrays");
    outcome.add(array.data(), array.length());
  }
  return outcome;
}

/// A kernel on elements whose state is in bfloat16: any bits.
Outcome runHalves(const KernelSet& set, size_t index, Input input) {
  const Kernel& kernel = set.kernels[index];
  const uint8_t flags = input.take<uint8_t>();
  Pass pass = passOf(input, flags);
  pass.update = static_cast<float>(input.take<uint32_t>() % (1u << 24));
  const size_t element = input.take<uint32_t>(), offset = input.take<uint8_t>() % 16;
  const std::vector<float> constants = input.numbers<float>(kernel.constantCount);
  const size_t bytes = kHalfGroup * (3 * sizeof(float) + kernel.stateCount * sizeof(uint16_t));
  const size_t length = kHalfGroup * (input.left() < 2 * bytes ? 1 : 2);
  std::vector<Guarded<uint16_t>> states;
  for (size_t s = 0; s < kernel.stateCount; ++s) {
    states.emplace_back(input.numbers<uint16_t>(length), offset / (s + 1));
  }
  std::vector<Guarded<float>> arrays;
  for (size_t a = 0; a < 3; ++a) arrays.emplace_back(input.numbers<float>(length), offset / (a + 1));
  Span span = {arrays[0].data(), arrays[1].data(), flags & 4 ? arrays[2].data() : nullptr, {},
               length,           (flags & 8) != 0};
  for (size_t s = 0; s < kernel.stateCount; ++s) span.state[s] = reinterpret_cast<float*>(states[s].data());

  kernel.runHalves(pass, constants.data(), span, element);
  Outcome outcome;
  for (Guarded<uint16_t>& state : states) {
    check(set, state.guarded(), "memory outside of its state");
    outcome.add(state.data(), state.length());
  }
  for (Guarded<float>& array : arrays) {
    check(set, array.guarded(), "memory outside of its arrays");
    outcome.add(array.data(), array.length());
  }
  return outcome;
}

// ---- Operations on vectors ----

/// A vector of float32 or float64, as its bits choose.
struct AnyVector {
  AnyVector(Input* input, size_t length, bool isDouble)
      : element(isDouble ? kDouble : kFloat),
        floats(isDouble ? std::vector<float>() : input->numbers<float>(length), length % 5),
        doubles(isDouble ? input->numbers<double>(length) : std::vector<double>(), 0) {}
  void* data() { return element == kDouble ? static_cast<void*>(doubles.data()) : floats.data(); }
  void addTo(const KernelSet& set, Outcome* outcome) {
    check(set, floats.guarded() && doubles.guarded(), "memory outside of its vector");
    outcome->add(floats.data(), floats.length());
    outcome->add(doubles.data(), doubles.length());
  }
  const Element element;
  Guarded<float> floats;
  Guarded<double> doubles;
};

struct Operation {
  const char* name;
  Outcome (*run)(const KernelSet& set, Input input);
};

size_t lengthOf(const Input& input, size_t vectors) {
  const size_t length = input.left() / sizeof(double) / vectors;
  return length > kLongest ? kLongest : length;
}

const Operation operations[] = {
    {"sum-squares",
     [](const KernelSet& set, Input input) {
       Guarded<float> x(input.numbers<float>(lengthOf(input, 1)), 3);
       Outcome outcome;
       outcome.add(set.sumSquares(x.data(), x.length()));
       return outcome;
     }},
    {"lerp-add-scale",
     [](const KernelSet& set, Input input) {
       const float factor = input.number();
       const size_t length = lengthOf(input, 2);
       Guarded<float> target(input.numbers<float>(length), 1), source(input.numbers<float>(length), 2);
       set.lerp(target.data(), source.data(), factor, length);
       set.add(target.data(), source.data(), length);
       set.scale(source.data(), factor, length);
       check(set, target.guarded() && source.guarded(), "memory outside of its vector");
       Outcome outcome;
       outcome.add(target.data(), length);
       outcome.add(source.data(), length);
       return outcome;
     }},
    {"dot-max-abs",
     [](const KernelSet& set, Input input) {
       const uint8_t flags = input.take<uint8_t>();
       const size_t length = lengthOf(input, 2);
       AnyVector x(&input, length, flags & 1), y(&input, length, flags & 2);
       Outcome outcome;
       outcome.add(set.float64.dot[x.element][y.element](x.data(), y.data(), length));
       outcome.add(set.float64.maxAbs[x.element](x.data(), length));
       outcome.add(set.float64.maxAbsDifference[x.element][y.element](x.data(), y.data(), length));
       return outcome;
     }},
    {"axpby-multiply",
     [](const KernelSet& set, Input input) {
       const uint8_t flags = input.take<uint8_t>();
       AxpbyOperands operands = {};
       operands.a = input.take<double>();
       operands.b = input.take<double>();
       const size_t length = lengthOf(input, 4);
       AnyVector x(&input, length, flags & 1), y(&input, length, flags & 2), out(&input, length, flags & 4);
       AnyVector z(&input, length, flags & 8);
       operands.x = x.data();
       operands.y = y.data();
       operands.out = out.data();
       operands.z = flags & 16 ? z.data() : nullptr;
       const Element third = flags & 16 ? z.element : kNoElement;
       Outcome outcome;
       outcome.add(set.float64.axpby[x.element][y.element][out.element][third](operands, length));
       out.addTo(set, &outcome);
       set.float64.multiply[x.element][out.element](operands.a, x.data(), out.data(), length);
       out.addTo(set, &outcome);
       return outcome;
     }},
    {"add-columns",
     [](const KernelSet& set, Input input) {
       const size_t count = 4 * (1 + input.take<uint8_t>() % 2), begin = input.take<uint8_t>() % 4;
       std::vector<double> weights = input.numbers<double>(count);
       const size_t length = lengthOf(input, count + 1);
       std::vector<Guarded<double>> columns;
       for (size_t k = 0; k < count; ++k) columns.emplace_back(input.numbers<double>(begin + length), 0);
       std::vector<const double*> pointers;
       for (Guarded<double>& column : columns) pointers.push_back(column.data());
       Guarded<double> x(input.numbers<double>(length), 0);
       set.float64.addColumns(pointers.data(), weights.data(), count, {begin, length}, x.data());
       check(set, x.guarded(), "memory outside of its vector");
       Outcome outcome;
       outcome.add(x.data(), length);
       return outcome;
     }},
};

std::string chosen;

/// A way to run a kernel, as --kernel names it.
struct Way {
  std::string name;
  Outcome (*run)(const KernelSet& set, size_t index, Input input);
};
std::vector<Way> waysOf(const Kernel& kernel) {
  const std::string name = kernel.name;
  std::vector<Way> ways = {{name, &runKernel}};
  if (kernel.runHalves != nullptr) ways.push_back({name + "-bfloat16", &runHalves});
  if (kernel.runWithFma[0] != nullptr) ways.push_back({name + "-fma", &runRoots});
  return ways;
}
}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const KernelSet& set = widestSet();
  for (int i = 1; i < *argc; ++i) {
    const std::string argument = (*argv)[i];
    if (argument.rfind("--kernel=", 0) == 0) chosen = argument.substr(9);
    if (argument != "--list") continue;
    for (size_t k = 0; k < set.count; ++k) {
      for (const Way& way : waysOf(set.kernels[k])) puts(way.name.c_str());
    }
    for (const Operation& operation : operations) puts(operation.name);
    exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Once: an input takes less time than the names.
  static const auto found = [] {
    const KernelSet& widest = widestSet();
    for (size_t k = 0; k < widest.count; ++k) {
      for (const Way& way : waysOf(widest.kernels[k])) {
        if (way.name == chosen) return std::make_pair(k, way.run);
      }
    }
    return std::make_pair(size_t{0}, decltype(Way::run){nullptr});
  }();
  if (found.second != nullptr) {
    compare([&](const KernelSet& set) { return found.second(set, found.first, Input(data, size)); });
    return 0;
  }
  for (const Operation& operation : operations) {
    if (chosen != operation.name) continue;
    compare([&](const KernelSet& set) { return operation.run(set, Input(data, size)); });
    return 0;
  }
  fprintf(stderr, "no kernel \"%s\": give --kernel=NAME\n", chosen.c_str());
  exit(1);
}
