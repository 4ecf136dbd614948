// A policy as options ask for it: --allow, --ask, --deny, --policy, --profile, --default and
// --limit.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/egress/policy_parts.h"
#include "config/egress/profile_library.h"

namespace sluice::config {

inline constexpr std::string_view kAskDefault = "@default";

struct PolicyRequest {
  std::vector<std::string> allow{};
  std::vector<std::string> deny{};
  // Targets; or kAskDefault, for what no rule speaks of.
  std::vector<std::string> ask{};
  std::vector<std::string> files{};
  std::vector<std::string> profiles{};  // Each may be several, separated by commas.
  std::optional<std::string> fallback{};
  std::vector<std::string> limits{};  // Of all flows together.
};

// The parts, whose draft has its default: what is said of it; else deny where there is a file, a
// profile, or something allowed or asked about and nothing denied; else allow. An error is lines
// for a person.
[[nodiscard]] std::expected<PolicyParts, std::string> read_policy(const PolicyRequest& request,
                                                                  const ProfileLibrary& library);

// "default deny, 7 rules (python, ci.toml)".
[[nodiscard]] std::string describe_policy(const PolicyParts& parts);

}  // namespace sluice::config
