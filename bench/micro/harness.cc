#include "micro/harness.h"

#include <cstdio>
#include <cstdlib>

namespace sluice::bench {
namespace {

std::string& current() {
  static std::string name;
  return name;
}

}  // namespace

std::vector<Description>& descriptions() {
  static std::vector<Description> all;
  return all;
}

void set_current(const std::string& name) { current() = name; }

void fail(const char* what) {
  std::fflush(stdout);
  std::fprintf(stderr, "micro_bench: %s: expected, but not so: %s\n", current().c_str(), what);
  std::fflush(stderr);
  std::_Exit(1);
}

}  // namespace sluice::bench
