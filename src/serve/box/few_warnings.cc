#include "serve/box/few_warnings.h"

namespace sluice::serve {

void FewWarnings::warn(std::string_view text) {
  // So that it cannot come round, however long a guest goes on.
  if (count_.load(std::memory_order_relaxed) > kMost) return;
  const std::size_t before = count_.fetch_add(1, std::memory_order_relaxed);
  if (before < kMost) tell_(text);
  if (before == kMost) tell_("the guest's drivers go on like that; no more of it is told");
}

}  // namespace sluice::serve
