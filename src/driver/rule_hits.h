// How often each rule of a policy has decided. At most as large as the policy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "policy/effect.h"
#include "policy/egress/egress_policy.h"

namespace sluice::driver {

class RuleHits {
 public:
  // Of the two that are in no list nothing is counted.
  void count(policy::RuleId rule) {
    if (rule.value >= policy::EgressPolicy::kRulesMax) return;
    if (counts_.size() <= rule.value) counts_.resize(std::size_t{rule.value} + 1);
    ++counts_[rule.value];
  }
  void add(const RuleHits& other) {
    if (counts_.size() < other.counts_.size()) counts_.resize(other.counts_.size());
    for (std::size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
  }
  // Of another policy.
  void clear() { counts_.clear(); }

  [[nodiscard]] std::uint64_t of(std::size_t rule) const {
    return rule < counts_.size() ? counts_[rule] : 0;
  }

 private:
  std::vector<std::uint64_t> counts_;
};

}  // namespace sluice::driver
