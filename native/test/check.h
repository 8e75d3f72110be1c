// A unit test framework of one file:
//   TEST("name") {
//     CHECK(condition);
//     CHECK_EQUAL(actual, expected);  // prints both values if they differ
//   }
#pragma once
#include <stdio.h>

#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

struct Test {
  const char* file;
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
  Register(const char* file, const char* name, void (*run)()) { tests().push_back({file, name, run}); }
};

/// Counts a failure. Prints only the first ones.
inline void fail(const char* file, int line, const std::string& message) {
  if (++failures() <= 20) printf("%s:%d: %s\n", file, line, message.c_str());
}

template <class A, class E>
void checkEqual(const char* file, int line, const char* text, const A& actual, const E& expected) {
  using Common = std::common_type_t<A, E>;
  if (static_cast<Common>(actual) == static_cast<Common>(expected)) return;
  std::ostringstream message;
  message.precision(17);
  message << text << ": " << actual << ", expected " << expected;
  fail(file, line, message.str());
}

#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
#define TEST(name)                                                                            \
  static void JOINED(test, __LINE__)();                                                       \
  static const Register JOINED(registered, __LINE__)(__FILE__, name, JOINED(test, __LINE__)); \
  static void JOINED(test, __LINE__)()
#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) fail(__FILE__, __LINE__, "expected " #condition " to be true"); \
  } while (0)
#define CHECK_EQUAL(actual, expected) checkEqual(__FILE__, __LINE__, #actual, actual, expected)
