#include "serve/control/policy_in_force.h"

#include <fmt/core.h>

#include <chrono>
#include <utility>
#include <vector>

#include "serve/control/added_rules.h"

namespace sluice::serve {

std::expected<void, std::string> PolicyInForce::add_rule(policy::DraftRule rule,
                                                         std::string_view by) {
  const std::string text =
      fmt::format("{} {}", to_string(rule.rule.effect), to_string(rule.target));
  std::vector<policy::DraftRule> added = added_;
  std::erase_if(added, [&](const policy::DraftRule& one) {
    return one.target == rule.target && one.rule.decision == rule.rule.decision;
  });
  added.push_back(std::move(rule));
  return put_in_force(own_, std::move(added), {by, text});
}

std::expected<void, std::string> PolicyInForce::replace(policy::EgressDraft draft,
                                                        std::string_view by) {
  draft.gateways = own_.gateways;
  return put_in_force(std::move(draft), added_, {by, ""});
}

std::expected<void, std::string> PolicyInForce::put_in_force(policy::EgressDraft own,
                                                             std::vector<policy::DraftRule> added,
                                                             const Change& change) {
  policy::EgressDraft draft = with_added(own, added);
  auto policy = policy::EgressPolicy::compile(draft);
  if (!policy) return std::unexpected(std::move(policy.error()));
  auto fresh = std::make_unique<const policy::EgressPolicy>(std::move(*policy));
  ++generation_;
  // Before the flows that it ends.
  events_.add(std::chrono::system_clock::now(), telemetry::PolicyEvent{.by = change.by,
                                                                       .change = change.text,
                                                                       .fallback = draft.fallback,
                                                                       .rules = draft.rules.size(),
                                                                       .generation = generation_});
  workers_.set_policy(*fresh, generation_);
  before_ = std::exchange(current_, std::move(fresh));
  own_ = std::move(own);
  added_ = std::move(added);
  draft_ = std::move(draft);
  if (on_change_) on_change_(*current_);
  return {};
}

}  // namespace sluice::serve
