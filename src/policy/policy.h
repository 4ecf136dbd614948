// Which addresses a guest may reach, by the rules on addresses. Built once from the rules; a
// decision is then a search without allocation, whatever the number of rules. Read-only after
// construction, so threads may share it.
//
// Of all rules that match the target, the most specific decides:
//   1. the longer prefix; one of @public behind every prefix but a whole family;
//   2. at the same prefix, the rule that names fewer ports (none named means all of them);
//   3. at the same ports, the rule that names a protocol;
//   4. at the same protocol too, a rule of the user's before a default denial;
//   5. of the user's own, deny before ask before allow.
// Without a match the policy's default decides. Hence, where that allows,
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

#include "policy/effect.h"
#include "policy/port_sites.h"
#include "policy/prefix_index.h"
#include "policy/protocol.h"
#include "policy/rule.h"
#include "wire/address.h"

namespace sluice::policy {

enum class Origin : std::uint8_t { kUser, kDefault };
enum class DefaultDenials : std::uint8_t { kOff, kOn };

struct PolicyRule {
  // Of the addresses in the rule's prefix, which it speaks of.
  enum class Subset : std::uint8_t {
    kAll,
    kPublic,  // Those that the internet routes. Only for a whole family.
    kHost,    // The host's own, wherever they are: the prefix does not count.
  };
  Rule rule{};
  Effect effect = Effect::kDeny;
  Origin origin = Origin::kUser;
  Subset subset = Subset::kAll;
  RuleId id{};
};

struct Decision {
  Effect effect = Effect::kAllow;    // The default's where no rule matched.
  const PolicyRule* rule = nullptr;  // Owned by the Policy; null when none matched.
};

// Whether the host has the address itself: then rules on @host count, like one on the very address.
enum class OnHost : std::uint8_t { kNo, kYes };

class Policy {
 public:
  // Allows all but the default denials.
  Policy() : Policy({}, {}) {}
  Policy(std::span<const Rule> deny, std::span<const Rule> allow,
         DefaultDenials defaults = DefaultDenials::kOn);
  Policy(std::vector<PolicyRule> rules, Effect fallback,
         DefaultDenials defaults = DefaultDenials::kOn);

  // `target.port` is ignored for ICMP. Judges the address alone: what it stands for is asked by
  // reach.h.
  [[nodiscard]] Decision decide(Protocol protocol, const wire::Endpoint& target,
                                OnHost on_host = OnHost::kNo) const;

  [[nodiscard]] Effect fallback() const { return fallback_; }
  // The default denials come last.
  [[nodiscard]] std::span<const PolicyRule> rules() const { return rules_; }

 private:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  // All rules of one prefix: those that speak of a public address, and of another.
  struct Site {
    std::uint32_t of_public = 0;
    std::uint32_t of_others = 0;
  };

  void add_site(std::span<const std::uint32_t> ranked);
  [[nodiscard]] std::uint32_t add_ports(std::span<const std::uint32_t> ranked);
  [[nodiscard]] const PolicyRule* host_rule(Protocol protocol, wire::Port port) const;

  std::vector<PolicyRule> rules_;
  std::vector<Site> sites_;
  PortSites ports_;
  PrefixIndex index_;  // Maps addresses to sites_.
  std::uint32_t host_site_ = kNone;
  Effect fallback_ = Effect::kAllow;
};

}  // namespace sluice::policy
