// Whether the guest may reach an address of the host's side: what no rule changes, then the rules,
// then the host's own addresses. An IPv6 address is judged with every IPv4 address that it carries
// (wire/ip/embedded_v4.h): each of them must be accepted, by the same rules.
//
// The host's own addresses are refused by default, as what listens there often trusts its own
// machine. A rule of the user's opens those that it names: an --allow of more than a whole family
// (0.0.0.0/0, ::/0) that decides on the target.
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

class Reach {
 public:
  // More prefixes than this are not remembered: a network has one or two.
  static constexpr std::size_t kNat64Max = 8;

  // `policy` is not owned.
  explicit Reach(const Policy& policy, HostAddresses host = HostAddresses::kRefused)
      : policy_(&policy), host_(host) {}

  // kAccepted, kNotRoutable, kDeniedByPolicy or kHostAddress. `target.port` is ignored for ICMP.
  [[nodiscard]] Verdict judge(Protocol protocol, const wire::Endpoint& target) const;

  // All addresses that the host has now, whatever was told before.
  void set_host_addresses(std::vector<wire::IpAddress> addresses);
  // Behind `prefix` a translator of the host's network makes IPv4 of IPv6 (RFC 6052). Of a length
  // that wire::is_nat64_length().
  void add_nat64_prefix(const wire::Prefix& prefix);
  [[nodiscard]] std::span<const wire::Prefix> nat64_prefixes() const { return nat64_; }

 private:
  [[nodiscard]] Verdict judge_one(Protocol protocol, const wire::Endpoint& target) const;

  const Policy* policy_;
  HostAddresses host_;
  std::vector<wire::IpAddress> own_;  // Sorted.
  std::vector<wire::Prefix> nat64_;
};

}  // namespace sluice::policy
