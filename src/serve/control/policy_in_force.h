// The policy of a guest while it runs, and all changes of it: one at a time, whole or not at all,
// each a generation of its own, told as an event. Every flow that lives is judged again before the
// change is answered. In the thread of the first worker, between its turns.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "driver/worker_group.h"
#include "policy/egress/egress_policy.h"
#include "telemetry/events/event_stream.h"

namespace sluice::serve {

class PolicyInForce {
 public:
  // As the workers have it. References are not owned.
  PolicyInForce(driver::WorkerGroup& workers, telemetry::EventStream& events,
                policy::EgressDraft draft)
      : workers_(workers), events_(events), own_(draft), draft_(std::move(draft)) {}

  // Adds a rule of a person's (added_rules.h), which stays when the rest is replaced. `by` is who
  // did it, in a word. The error is a sentence.
  [[nodiscard]] std::expected<void, std::string> add_rule(policy::DraftRule rule,
                                                          std::string_view by);
  // In the place of all but the rules that were added.
  [[nodiscard]] std::expected<void, std::string> replace(policy::EgressDraft draft,
                                                         std::string_view by);

  // Who hears of each change, once it is in force. Once.
  void tell(std::function<void(const policy::EgressPolicy&)> on_change) {
    on_change_ = std::move(on_change);
  }

  // All of it.
  [[nodiscard]] const policy::EgressDraft& draft() const { return draft_; }
  // How many policies there have been.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  struct Change {
    std::string_view by;
    std::string_view text;
  };
  [[nodiscard]] std::expected<void, std::string> put_in_force(policy::EgressDraft own,
                                                              std::vector<policy::DraftRule> added,
                                                              const Change& change);

  driver::WorkerGroup& workers_;
  telemetry::EventStream& events_;
  policy::EgressDraft own_;  // Without what was added.
  std::vector<policy::DraftRule> added_;
  policy::EgressDraft draft_;
  // Null: it is the plan's yet. Of the one before its rules are named in reports that are late.
  std::unique_ptr<const policy::EgressPolicy> current_;
  std::unique_ptr<const policy::EgressPolicy> before_;
  std::uint64_t generation_ = 1;
  std::function<void(const policy::EgressPolicy&)> on_change_;
};

}  // namespace sluice::serve
