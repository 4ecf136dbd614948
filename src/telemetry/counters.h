// Named counts, such as packets dropped by reason, as people read them; and how far the limits of a
// policy are used.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/json_line.h"

namespace sluice::telemetry {

struct Counter {
  std::string_view name;
  std::uint64_t value = 0;
};

// One line a counter that is not zero, the names aligned, each line after `indent` spaces. Zeros
// are left out; if all are zero the text is empty.
[[nodiscard]] std::string format_counters(std::span<const Counter> counters,
                                          std::size_t indent = 2);

// Of a rule, or of a run. A maximum of zero is no bound.
struct LimitUse {
  std::string rule{};  // Its id; empty: of the run.
  std::uint64_t to_host = 0;
  std::uint64_t to_host_max = 0;
  std::uint64_t from_host = 0;
  std::uint64_t from_host_max = 0;
  std::uint32_t flows = 0;
  std::uint32_t flows_max = 0;
  std::uint64_t refused = 0;  // Flows that were not let begin.
  std::uint64_t ended = 0;    // Flows that were ended.
};

// "limit reached: of rule 'uploads' (52428800 of 52428800 bytes to hosts): 1 flow ended, 3
// refused": of all that ended or refused something, the first few. Empty: none did.
[[nodiscard]] std::string limits_text(const std::vector<LimitUse>& limits);

// Members of an object of its own.
void add_limit(JsonLine& line, const LimitUse& limit);

}  // namespace sluice::telemetry
