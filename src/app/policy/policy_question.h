// One question to a policy: may this target be reached, and which rule says so.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "app/options/early_exit.h"
#include "policy/egress/egress_policy.h"

namespace sluice::app {

struct PolicyAnswer {
  // kByAddress: no rule speaks of the name, and rules on addresses let some of them through.
  enum class Decision : std::uint8_t { kAllow, kDeny, kByAddress };
  Decision decision = Decision::kDeny;
  std::string reason;  // Of a denial: "name-unlisted" and so on, as in events.
  policy::RuleId rule{};
};

// `protocol` is tcp, udp or icmp; `target` a name or an address with its port, "pypi.org:443",
// without one for ICMP.
[[nodiscard]] std::expected<PolicyAnswer, Mistake> ask_policy(const policy::EgressPolicy& policy,
                                                              std::string_view protocol,
                                                              std::string_view target);

[[nodiscard]] std::string answer_text(const policy::EgressPolicy& policy,
                                      const PolicyAnswer& answer);
[[nodiscard]] std::string answer_json(const policy::EgressPolicy& policy,
                                      const PolicyAnswer& answer);

}  // namespace sluice::app
