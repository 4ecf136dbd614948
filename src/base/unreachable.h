// For states that only a bug of ours can reach: says which, and aborts. What a peer sends must
// never lead here.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace sluice {

[[noreturn, gnu::cold]] inline void unreachable(const char* what) {
  std::fprintf(stderr, "sluice: internal error: %s\n", what);
  std::abort();
}

}  // namespace sluice
