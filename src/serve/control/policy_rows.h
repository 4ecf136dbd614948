// What the control socket tells of the policy in force, and of what it has refused: a line for each
// rule, the most specific first, with how often it has decided; and a line for each name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "control/answer.h"
#include "control/request.h"
#include "driver/rule_hits.h"
#include "policy/egress/egress_policy.h"
#include "telemetry/refused_names.h"

namespace sluice::serve {

class PolicyRows {
 public:
  // A page of rules, at most.
  static constexpr std::size_t kRulesEach = 256;

  struct Now {
    const policy::EgressDraft& draft;  // Of the policy in force.
    std::uint64_t generation;          // ... and its number.
    const driver::RuleHits& hits;
  };

  // Rules, from the place that the request names.
  void tell_rules(const control::Request& request, const Now& now, control::Answer& answer);
  static void tell_refused(const telemetry::RefusedNames& refused, control::Answer& answer);

 private:
  // To rank a hundred thousand rules takes a while: once for each policy.
  std::vector<std::size_t> ranked_;
  std::uint64_t ranked_of_ = 0;  // The generation that these are of.
};

}  // namespace sluice::serve
