// How far the limits of a policy are used, for those who look and for the line after a command.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "telemetry/json_line.h"

namespace sluice::telemetry {

// Of a rule, or of a run. A maximum of zero is no bound.
struct LimitUse {
  std::string rule;  // Its id; empty: of the run.
  std::uint64_t to_host = 0;
  std::uint64_t to_host_max = 0;
  std::uint64_t from_host = 0;
  std::uint64_t from_host_max = 0;
  std::uint32_t flows = 0;
  std::uint32_t flows_max = 0;
  std::uint64_t refused = 0;  // Flows that were not let begin.
  std::uint64_t ended = 0;    // Flows that were ended.
};

// "limit reached: of rule 'uploads' (52428800 of 52428800 bytes to hosts): 1 flow ended, 3 refused":
// of all that ended or refused something, the first few. Empty: none did.
[[nodiscard]] std::string limits_text(const std::vector<LimitUse>& limits);

// Members of an object of its own.
void add_limit(JsonLine& line, const LimitUse& limit);

}  // namespace sluice::telemetry
