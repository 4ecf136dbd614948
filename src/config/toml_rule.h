// One table of [[forwarding_rules]]: the keys of oi, and ours.
#pragma once

#include <optional>

#include "config/messages.h"
#include "config/toml_value.h"
#include "forward/plan.h"

namespace sluice::config {

// `line`: of the table. Mistakes are in `messages`; nothing when it is not known from where to
// where the rule leads.
[[nodiscard]] std::optional<forward::Rule> read_toml_rule(const TomlTable& table, unsigned line,
                                                          Messages& messages);

}  // namespace sluice::config
