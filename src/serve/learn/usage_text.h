// A telemetry::Usage as lines, for the process that makes a file of it: an object of JSON for each
// row, and one at the end, without which something is missing.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "telemetry/usage/usage.h"

namespace sluice::serve {

[[nodiscard]] std::string usage_lines(const telemetry::Usage& usage);
// Nothing where it is not whole.
[[nodiscard]] std::expected<telemetry::Usage, std::string> read_usage(std::string_view lines);

}  // namespace sluice::serve
