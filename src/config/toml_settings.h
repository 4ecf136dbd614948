// Groups of settings inside a rule's table. Each leaves alone what the table does not name.
#pragma once

#include <string_view>

#include "config/messages.h"
#include "config/toml_reader.h"
#include "forward/plan.h"

namespace sluice::config {

// Of timeouts that must be above zero.
inline constexpr Duration kShortestWait = std::chrono::milliseconds{1};

// `allow` and `deny`, and oi's array of tables under `tables_key`, each with `type` and
// `pattern`.
void read_access(TomlReader& reader, std::string_view tables_key, policy::AccessList& into,
                 Messages& messages);
void read_timeouts(TomlReader& reader, forward::TimeoutPlan& into, Messages& messages);
void read_limits(TomlReader& reader, std::string_view key, forward::LimitPlan& into,
                 Messages& messages);
void read_health(TomlReader& reader, forward::HealthPlan& into, Messages& messages);
void read_socket(TomlReader& reader, forward::SocketPlan& into, Messages& messages);

}  // namespace sluice::config
