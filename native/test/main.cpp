// unit_tests [FILE ...]: all tests but those of these files. `unit_tests kernels` leaves out kernels_test.cpp.
#include <algorithm>

#include "../engine/dispatch.h"
#include "check.h"

namespace {
bool isOf(const Test& test, const std::string& file) {
  const std::string path = test.file;
  return path.substr(path.find_last_of("/\\") + 1) == file + "_test.cpp";
}
}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> without(argv + 1, argv + argc);
  std::vector<Test> left = tests();
  for (const std::string& file : without) {
    const auto end = std::remove_if(left.begin(), left.end(), [&](const Test& test) { return isOf(test, file); });
    if (end == left.end()) {
      printf("no test in %s_test.cpp\n", file.c_str());
      return 2;
    }
    left.erase(end, left.end());
  }
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  printf("instruction sets:");
  for (size_t i = 0; i < count; ++i) printf(" %s", sets[i]->isa);
  printf("\n");
  for (const Test& test : left) {
    const size_t before = failures();
    test.run();
    printf("%s %s\n", failures() == before ? "ok    " : "FAILED", test.name);
  }
  printf("%zu tests, %zu failures\n", left.size(), failures());
  return left.empty() || failures() > 0;
}
