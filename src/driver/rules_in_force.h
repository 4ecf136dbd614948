// Which rule decided, in the words of a person: of the policy in force, and of the one before,
// under which what comes now may have been reported by another worker. Not thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

#include "flow/core/flow_summary.h"
#include "policy/egress/egress_policy.h"

namespace sluice::driver {

class RulesInForce {
 public:
  // Not owned; null: there is none that could be asked.
  explicit RulesInForce(const policy::EgressPolicy* policy) : current_{policy, 1} {}
  // From here on. The one before must stay until the next.
  void change(const policy::EgressPolicy& policy, std::uint64_t generation) {
    before_ = current_;
    current_ = {&policy, generation};
  }

  [[nodiscard]] std::uint64_t generation() const { return current_.generation; }
  // The id of the rule that let a flow begin, or refused it. Empty where none did, or where it is
  // not known any more. Borrowed from the policy.
  [[nodiscard]] std::string_view rule_of(const flow::FlowSummary& flow) const;
  // ... that speaks of a name, or of first bytes.
  [[nodiscard]] std::string_view rule_of(policy::RuleId rule, std::uint64_t generation) const;
  [[nodiscard]] std::string_view rule_for_query(const wire::DomainName& name,
                                                std::uint64_t generation) const;

 private:
  struct Edition {
    const policy::EgressPolicy* policy = nullptr;
    std::uint64_t generation = 0;
  };
  [[nodiscard]] const policy::EgressPolicy* of(std::uint64_t generation) const;

  Edition current_;
  Edition before_;
};

}  // namespace sluice::driver
