// Unit tests with nothing to install: TEST("name") { CHECK(condition); }
#pragma once
#include <stdio.h>

#include <string>
#include <vector>

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

inline size_t& failures() {
  static size_t count = 0;
  return count;
}

struct Register {
  Register(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

/// Counts a failure, and prints the first ones.
inline void fail(const char* file, int line, const std::string& what) {
  if (++failures() <= 20) printf("%s:%d: %s\n", file, line, what.c_str());
}

#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
#define TEST(name)                                                                  \
  static void JOINED(test, __LINE__)();                                             \
  static const Register JOINED(registered, __LINE__)(name, JOINED(test, __LINE__)); \
  static void JOINED(test, __LINE__)()
#define CHECK(condition)                                    \
  do {                                                      \
    if (!(condition)) fail(__FILE__, __LINE__, #condition); \
  } while (0)
