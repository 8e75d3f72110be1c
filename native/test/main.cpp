#include "../engine/dispatch.h"
#include "check.h"

int main() {
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  printf("instruction sets:");
  for (size_t i = 0; i < count; ++i) printf(" %s", sets[i]->isa);
  printf("\n");
  for (const Test& test : tests()) {
    const size_t before = failures();
    test.run();
    printf("%s %s\n", failures() == before ? "ok    " : "FAILED", test.name);
  }
  printf("%zu tests, %zu failures\n", tests().size(), failures());
  return tests().empty() || failures() > 0;
}
