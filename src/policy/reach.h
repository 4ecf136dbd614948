// Whether the guest may reach an address of the host's side: what no rule changes, then the rules,
// then the host's own addresses. An IPv6 address is judged with every IPv4 address that it carries
// (wire/ip/embedded_v4.h): each of them must be accepted, by the same rules.
//
// The host's own addresses are refused by default, as what listens there often trusts its own
// machine. A rule of the user's opens those that it names: an --allow of more than a whole family
// (0.0.0.0/0, ::/0, @public) that decides on the target.
//
// What no rule on names opens is the floor: what is never routed, and what is denied by default or
// is the host's own and was opened by no rule on addresses.
//
// Not thread-safe; a worker owns its own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "policy/policy.h"
#include "policy/protocol.h"
#include "policy/verdict.h"
#include "wire/address.h"

namespace sluice::policy {

enum class HostAddresses : std::uint8_t { kRefused, kOpen };

// What is said of an address.
struct Reached {
  // kAccepted, kNotRoutable, kDeniedByPolicy, kHostAddress or kAddressUnlisted.
  Verdict verdict = Verdict::kAccepted;
  bool floor = false;                // A refusal that stands whatever name leads here.
  bool ask = false;                  // Accepted if somebody who is asked says so.
  const PolicyRule* rule = nullptr;  // Who decided, where a rule did; the Policy's.
};

class Reach {
 public:
  // More prefixes than this are not remembered: a network has one or two.
  static constexpr std::size_t kNat64Max = 8;

  // `policy` is not owned.
  explicit Reach(const Policy& policy, HostAddresses host = HostAddresses::kRefused)
      : policy_(&policy), host_(host) {}

  // `target.port` is ignored for ICMP.
  [[nodiscard]] Reached look(Protocol protocol, const wire::Endpoint& target) const;
  [[nodiscard]] Verdict judge(Protocol protocol, const wire::Endpoint& target) const {
    return look(protocol, target).verdict;
  }

  // `policy` is not owned.
  void set_policy(const Policy& policy) { policy_ = &policy; }

  // All addresses that the host has now, whatever was told before.
  void set_host_addresses(std::vector<wire::IpAddress> addresses);
  // Behind `prefix` a translator of the host's network makes IPv4 of IPv6 (RFC 6052). Of a length
  // that wire::is_nat64_length().
  void add_nat64_prefix(const wire::Prefix& prefix);
  [[nodiscard]] std::span<const wire::Prefix> nat64_prefixes() const { return nat64_; }

 private:
  [[nodiscard]] Reached look_at_one(Protocol protocol, const wire::Endpoint& target) const;

  const Policy* policy_;
  HostAddresses host_;
  std::vector<wire::IpAddress> own_;  // Sorted.
  std::vector<wire::Prefix> nat64_;
};

}  // namespace sluice::policy
