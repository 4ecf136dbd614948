// What files, profiles and options say of a policy, put together: one set of rules, and settings of
// which the last one counts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/forward_config.h"
#include "policy/ask/ask_settings.h"
#include "policy/egress/egress_policy.h"

namespace sluice::config {

struct PolicyParts {
  policy::EgressDraft draft{};
  std::optional<policy::Effect> fallback{};  // What is said of the default.
  policy::AskSettings ask{};
  std::optional<std::uint32_t> max_flows{};
  std::optional<std::uint32_t> new_flows_per_second{};
  std::vector<std::string> sources{};  // Names of profiles and files, in order.
  std::vector<ConfigMessage> warnings{};
};

}  // namespace sluice::config
