// Rows of tables. Each function returns -1; or the position of a row number that is out of range, and then nothing was
// written; or -2 if the output shares memory with an input.
#include "table_rows.h"

#include "../engine/table_rows.h"
#include "call.h"

namespace {
constexpr double kDone = -1, kShared = -2;

/// Reads tables, row numbers and outputs, and compares their lengths.
class TableCall : public Call {
 public:
  using Call::Call;

  struct Table {
    Floats floats;
    const uint32_t* rows;
    size_t count;  ///< of row numbers
  };

  /// The length of a row, which all tables of the call share. It is not 0.
  bool width(size_t i) {
    if (!integer(i, "width", SIZE_MAX / sizeof(float), &width_)) return false;
    return width_ > 0 || refuse("width: 0");
  }
  size_t width() const { return width_; }

  /// The argument `i` is a table, the next one are its row numbers.
  bool table(size_t i, Table* out) {
    if (!floats(i, "table", &out->floats) || !rows(i + 1, "rows", &out->rows, &out->count)) return false;
    return out->floats.length % width_ == 0 || refuse("table: no whole rows");
  }

  /// The output has a row for each of `count`. Divides, because a product could overflow.
  bool output(size_t i, size_t count, Floats* out) {
    if (!floats(i, "out", out)) return false;
    return (out->length % width_ == 0 && out->length / width_ == count) || refuse("out: another length");
  }

  bool exactly(size_t i, const char* name, size_t length, Floats* out) {
    if (!floats(i, name, out)) return false;
    return out->length == length || refuse(std::string(name) + ": another length");
  }

  bool refuse(const std::string& message) {
    throwRangeError(env_, "schuss: " + message);
    return false;
  }

 private:
  size_t width_ = 0;
};

/// Whether two arrays of `n` and `m` numbers of four bytes share memory.
bool isShared(const void* x, size_t n, const void* y, size_t m) {
  const uintptr_t a = reinterpret_cast<uintptr_t>(x), b = reinterpret_cast<uintptr_t>(y);
  return n > 0 && m > 0 && a < b + m * sizeof(float) && b < a + n * sizeof(float);
}

bool isShared(const Floats& out, const TableCall::Table& table) {
  return isShared(out.data, out.length, table.floats.data, table.floats.length) ||
         isShared(out.data, out.length, table.rows, table.count);
}

/// Reads the row numbers of a table. Returns the position of one that is out of range, or kAllValid.
size_t readNames(const TableCall& call, const TableCall::Table& table, tables::Names* names) {
  return names->read(table.rows, table.count, table.floats.length / call.width());
}

// One for each table of a call. They keep their memory from call to call.
thread_local tables::Names namesOfA, namesOfB;

// gatherRows(width, table, rows, out)
napi_value gatherRows(napi_env env, napi_callback_info info) {
  TableCall call(env, info);
  TableCall::Table table;
  Floats out;
  if (!call.width(0) || !call.table(1, &table) || !call.output(3, table.count, &out)) return nullptr;
  if (isShared(out, table)) return toNumber(env, kShared);
  const size_t bad = readNames(call, table, &namesOfA);
  if (bad != tables::Names::kAllValid) return toNumber(env, static_cast<double>(bad));
  tables::gather(call.set(), namesOfA.of(table.floats.data), call.width(), out.data);
  return toNumber(env, kDone);
}

// scaleRows(width, table, rows, out, factors)
napi_value scaleRows(napi_env env, napi_callback_info info) {
  TableCall call(env, info);
  TableCall::Table table;
  Floats factors, out;
  if (!call.width(0) || !call.table(1, &table) || !call.output(3, table.count, &out) ||
      !call.exactly(4, "factors", table.count, &factors))
    return nullptr;
  if (isShared(out, table) || isShared(out.data, out.length, factors.data, factors.length))
    return toNumber(env, kShared);
  const size_t bad = readNames(call, table, &namesOfA);
  if (bad != tables::Names::kAllValid) return toNumber(env, static_cast<double>(bad));
  tables::scale(call.set(), namesOfA.of(table.floats.data), factors.data, call.width(), out.data);
  return toNumber(env, kDone);
}

// dotRows(width, a, rowsA, out, b, rowsB). The positions of rowsB follow those of rowsA.
napi_value dotRows(napi_env env, napi_callback_info info) {
  TableCall call(env, info);
  TableCall::Table a, b;
  Floats out;
  if (!call.width(0) || !call.table(1, &a) || !call.table(4, &b) || !call.exactly(3, "out", a.count, &out))
    return nullptr;
  if (b.count != a.count) {
    call.refuse("rowsB: another length");
    return nullptr;
  }
  if (isShared(out, a) || isShared(out, b)) return toNumber(env, kShared);
  size_t bad = readNames(call, a, &namesOfA);
  if (bad != tables::Names::kAllValid) return toNumber(env, static_cast<double>(bad));
  bad = readNames(call, b, &namesOfB);
  if (bad != tables::Names::kAllValid) return toNumber(env, static_cast<double>(a.count + bad));
  tables::dots(call.set(), namesOfA.of(a.floats.data), namesOfB.of(b.floats.data), call.width(), out.data);
  return toNumber(env, kDone);
}

/// Reads the offsets of bags: the first is 0, and they ascend to at most `count`. Returns the position of one that
/// does not, or kAllValid.
size_t readOffsets(const uint32_t* offsets, size_t bags, size_t count, tables::Names* read) {
  const size_t bad = read->read(offsets, bags, count + 1);
  if (bad != tables::Names::kAllValid) return bad;
  for (size_t i = 0; i < bags; ++i) {
    if (i == 0 ? read->data()[0] != 0 : read->data()[i] < read->data()[i - 1]) return i;
  }
  return tables::Names::kAllValid;
}

// meanRows(width, table, rows, out, offsets). The positions of offsets follow those of rows.
napi_value meanRows(napi_env env, napi_callback_info info) {
  TableCall call(env, info);
  TableCall::Table table;
  const uint32_t* offsets;
  size_t bags;
  Floats out;
  if (!call.width(0) || !call.table(1, &table) || !call.rows(4, "offsets", &offsets, &bags) ||
      !call.output(3, bags, &out))
    return nullptr;
  if (isShared(out, table) || isShared(out.data, out.length, offsets, bags)) return toNumber(env, kShared);
  size_t bad = readNames(call, table, &namesOfA);
  if (bad != tables::Names::kAllValid) return toNumber(env, static_cast<double>(bad));
  bad = readOffsets(offsets, bags, table.count, &namesOfB);
  if (bad != tables::Names::kAllValid) return toNumber(env, static_cast<double>(table.count + bad));
  tables::means(call.set(), namesOfA.of(table.floats.data), namesOfB.data(), bags, call.width(), out.data);
  return toNumber(env, kDone);
}
}  // namespace

void defineTableRows(napi_env env, napi_value exports, const KernelSet& set) {
  const NamedFunction functions[] = {
      {"gatherRows", guarded<gatherRows>},
      {"scaleRows", guarded<scaleRows>},
      {"dotRows", guarded<dotRows>},
      {"meanRows", guarded<meanRows>},
  };
  defineFunctions(env, exports, functions, &set);
}
