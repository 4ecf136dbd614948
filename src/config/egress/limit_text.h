// Limits on what flows carry, as a person writes them: a table of a policy, or --limit.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "config/toml_reader.h"
#include "policy/limits/traffic_limit.h"

namespace sluice::config {

// Keys of a table: to-host and from-host (bytes in all), rate (bytes a second, each way), and
// to-host-rate and from-host-rate where the ways differ. What is not there stays as it is.
void read_limit_keys(TomlReader& reader, policy::TrafficLimit& into);

// "to-host=2GiB,rate=5MiB/s", of the same keys. An error is what was expected.
[[nodiscard]] std::expected<void, std::string> add_limit_text(std::string_view text,
                                                              policy::TrafficLimit& into);

// "to-host=2GiB, rate=5MiB/s, flows=8"; empty where there is no limit.
[[nodiscard]] std::string describe_limit(const policy::TrafficLimit& limit);

}  // namespace sluice::config
