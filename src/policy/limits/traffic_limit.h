// What flows may carry together: those of a rule, or all of a run. Plain values; zero is no bound.
#pragma once

#include <cstdint>

namespace sluice::policy {

struct TrafficLimit {
  struct Way {
    std::uint64_t bytes = 0;  // In all, of payload.
    std::uint64_t rate = 0;   // Bytes a second.

    [[nodiscard]] bool any() const { return bytes != 0 || rate != 0; }
    friend bool operator==(const Way&, const Way&) = default;
  };

  Way to_host{};
  Way from_host{};
  std::uint32_t flows = 0;  // At a time.

  [[nodiscard]] bool any() const { return to_host.any() || from_host.any() || flows != 0; }
  friend bool operator==(const TrafficLimit&, const TrafficLimit&) = default;
};

}  // namespace sluice::policy
