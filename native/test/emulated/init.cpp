// The only program of the emulated machine of scripts/avx512.mjs: runs the unit tests whose kernels differ between
// instruction sets, and turns the machine off.
#include <stdio.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

int main() {
  setvbuf(stdout, nullptr, _IONBF, 0);
  setenv("SCHUSS_BOCHS", "1", 1);  // for roots_test.cpp
  // What is left out tests threads and the engine, or takes an hour here.
  static const char* const arguments[] = {"/unit_tests", "allocator",  "auto_tune",    "eigen",
                                          "linalg",      "parallel",   "plan_threads", "plan_sparse",
                                          "plan",        "radix_sort", "sparse_rows",  nullptr};
  const pid_t child = fork();
  if (child == 0) {
    execv(arguments[0], const_cast<char* const*>(arguments));
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("unit tests ended with %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  tcdrain(STDOUT_FILENO);  // the machine does not wait for its serial line
  sleep(1);
  reboot(RB_POWER_OFF);
  for (;;) sleep(1);
}
