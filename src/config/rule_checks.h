// Whether settings that are each right also go together, in one rule and among all.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "config/messages.h"
#include "forward/plan.h"

namespace sluice::config {

struct RuleFindings {
  std::vector<std::string> errors;
  std::vector<std::string> warnings;  // Settings that have no effect, or one few would want.
};

[[nodiscard]] RuleFindings check_rule(const forward::Rule& rule);

// Rules without a name get their listener's. Then checks each rule and finds listeners and names
// that are there twice. Whoever reads a file ends with this.
[[nodiscard]] std::expected<LoadedPlan, ConfigErrors> finish_plan(forward::Plan plan,
                                                                  Messages messages);

}  // namespace sluice::config
