// One [[rule]] of a file of policy.
#pragma once

#include <string>
#include <vector>

#include "config/messages.h"
#include "config/setting_names.h"
#include "config/toml_value.h"
#include "policy/egress/egress_policy.h"

namespace sluice::config {

inline constexpr Named<policy::SniUse> kSniUses[] = {{"require", policy::SniUse::kRequire},
                                                     {"if-present", policy::SniUse::kIfPresent},
                                                     {"off", policy::SniUse::kOff}};
inline constexpr Named<policy::HostUse> kHostUses[] = {
    {"every-request", policy::HostUse::kEveryRequest},
    {"first", policy::HostUse::kFirst},
    {"off", policy::HostUse::kOff}};

// `value` is a table. Appends a rule for each target; those of one table share its id, which by
// default is "LABEL:LINE".
void read_rule_table(const TomlValue& value, const std::string& label,
                     std::vector<policy::DraftRule>& rules, Messages& messages);

}  // namespace sluice::config
