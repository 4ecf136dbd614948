// Named counts, such as packets dropped by reason, as people read them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sluice::telemetry {

struct Counter {
  std::string_view name;
  std::uint64_t value = 0;
};

// One line a counter that is not zero, the names aligned, each line after `indent` spaces. Zeros
// are left out; if all are zero the text is empty.
[[nodiscard]] std::string format_counters(std::span<const Counter> counters,
                                          std::size_t indent = 2);

}  // namespace sluice::telemetry
