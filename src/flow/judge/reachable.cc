#include "flow/judge/reachable.h"

#include <algorithm>
#include <array>

#include "policy/address_group.h"
#include "wire/ip/embedded_v4.h"

namespace sluice::flow {

bool is_public_through(const wire::IpAddress& address, std::span<const wire::Prefix> nat64) {
  return policy::is_public(address) &&
         std::ranges::all_of(wire::EmbeddedV4(address, nat64), policy::is_public);
}

bool may_lead_to(const policy::EgressRule& rule, const wire::IpAddress& address,
                 std::span<const wire::Prefix> nat64) {
  const auto listed = [&](const wire::IpAddress& one) {
    return std::ranges::any_of(rule.private_addresses,
                               [&](const wire::Prefix& prefix) { return prefix.contains(one); });
  };
  if (rule.private_addresses.empty()) return false;
  const wire::EmbeddedV4 inside(address, nat64);
  return inside.empty() ? listed(address) : std::ranges::all_of(inside, listed);
}

bool is_opened(const policy::EgressPolicy& policy, const wire::IpAddress& address) {
  return std::ranges::any_of(policy.addresses().rules(), [&](const policy::PolicyRule& rule) {
    return rule.effect == policy::Effect::kAllow && rule.origin == policy::Origin::kUser &&
           rule.rule.prefix.length > 0 && rule.rule.prefix.contains(address);
  });
}

bool speaks_tls(wire::Port port) {
  constexpr std::array<std::uint16_t, 8> kPorts{443, 465, 636, 853, 989, 990, 993, 8443};
  return std::ranges::find(kPorts, port.value) != kPorts.end();
}

bool speaks_http(wire::Port port) { return port.value == 80 || port.value == 8080; }

}  // namespace sluice::flow
