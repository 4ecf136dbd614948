// Which targets a guest may reach. Built once from the rules; a decision is then a search without
// allocation, whatever the number of rules. Read-only after construction, so threads may share it.
//
// Of all rules that match the target, the most specific decides:
//   1. the longer prefix;
//   2. at the same prefix, the rule that names fewer ports (none named means all of them);
//   3. at the same ports too, an allow.
// Without a match the target is accepted. Hence
//   --deny 0.0.0.0/0 --deny ::/0 --allow 10.0.0.0/8:443     permits nothing but that,
//   --deny 10.0.0.0/8 --allow 10.1.0.0/16                   makes a hole in a denial,
//   --allow 169.254.169.254                                 makes one in a default denial.
//
// Denied by default are the link-local ranges 169.254.0.0/16 and fe80::/10, and the other addresses
// where clouds keep the credentials of their machines.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "policy/prefix_index.h"
#include "policy/protocol.h"
#include "policy/rule.h"
#include "policy/verdict.h"
#include "wire/address.h"

namespace sluice::policy {

enum class Action : std::uint8_t { kDeny, kAllow };
enum class Origin : std::uint8_t { kUser, kDefault };
enum class DefaultDenials : std::uint8_t { kOff, kOn };

struct PolicyRule {
  Rule rule;
  Action action = Action::kDeny;
  Origin origin = Origin::kUser;
};

struct Decision {
  Verdict verdict = Verdict::kAccepted;  // kAccepted or kDeniedByPolicy
  const PolicyRule* rule = nullptr;      // Owned by the Policy; null when none matched.
};

class Policy {
 public:
  // No rules but the default denials.
  Policy() : Policy({}, {}) {}
  Policy(std::span<const Rule> deny, std::span<const Rule> allow,
         DefaultDenials defaults = DefaultDenials::kOn);

  // `target.port` is ignored for ICMP. Judges the
  // address alone: what it stands for is asked by reach.h.
  [[nodiscard]] Decision decide(Protocol protocol, const wire::Endpoint& target) const;

  [[nodiscard]] std::span<const PolicyRule> rules() const { return rules_; }

 private:
  // From `first` to the next interval's `first`, `rule` decides (kNoRule: nothing here does).
  struct PortInterval {
    std::uint16_t first = 0;
    std::uint32_t rule = 0;
  };
  // All rules of one prefix.
  struct Site {
    std::uint32_t any_port_rule = 0;    // For ICMP, and for every port if there are no intervals.
    std::uint32_t intervals_begin = 0;  // Into intervals_; the first starts at port 0.
    std::uint32_t intervals_end = 0;
  };

  void add_site(std::span<const std::uint32_t> ranked);
  [[nodiscard]] std::uint32_t rule_at(const Site& site, Protocol protocol, wire::Port port) const;

  std::vector<PolicyRule> rules_;
  std::vector<Site> sites_;
  std::vector<PortInterval> intervals_;
  PrefixIndex index_;  // Maps addresses to sites.
};

}  // namespace sluice::policy
