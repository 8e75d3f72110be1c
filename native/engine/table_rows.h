#pragma once
#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "../kernel.h"

// What a sparse model reads of its tables, on as many threads as pay off. Row numbers may lie in memory that another
// thread changes, so each is read once: into a list of names that was compared with the table.
namespace tables {

/// Row numbers of one table, read and checked.
class Names {
 public:
  static constexpr size_t kAllValid = ~size_t{0};

  /// Copies row numbers. Returns the position of the first that is not below `limit`, or kAllValid.
  /// Throws std::bad_alloc.
  size_t read(const uint32_t* rows, size_t count, size_t limit);
  TableRows of(const float* table) const { return {table, names_.data(), names_.size()}; }
  const uint32_t* data() const { return names_.data(); }
  size_t size() const { return names_.size(); }

 private:
  std::vector<uint32_t> names_;
};

/// out = the rows, one after the other.
void gather(const KernelSet& set, const TableRows& rows, size_t width, float* out);
/// out = the rows, each times its factor.
void scale(const KernelSet& set, const TableRows& rows, const float* factors, size_t width, float* out);
/// out[i] = the dot product of row i of `a` and row i of `b`.
void dots(const KernelSet& set, const TableRows& a, const TableRows& b, size_t width, float* out);
/// out = the means of bags of rows. Bag i has the rows from offsets[i] up to the next offset, or to the last row.
/// The offsets ascend.
void means(const KernelSet& set, const TableRows& rows, const uint32_t* offsets, size_t bags, size_t width, float* out);

}  // namespace tables
