// Addresses and ports that the judges of names tell apart.
#pragma once

#include <span>

#include "policy/egress/egress_policy.h"
#include "wire/address.h"

namespace sluice::flow {

// Public, and so is every IPv4 address that it carries.
[[nodiscard]] bool is_public_through(const wire::IpAddress& address,
                                     std::span<const wire::Prefix> nat64);

// Whether a rule that lets a name through says that it may lead to this address, though it is not
// public: its `private` lists it, or all that it carries.
[[nodiscard]] bool may_lead_to(const policy::EgressRule& rule, const wire::IpAddress& address,
                               std::span<const wire::Prefix> nat64);

// Whether a user's rule on addresses lets the guest go there, on whatever ports. More than a whole
// family does not count: it is not said of this address.
[[nodiscard]] bool is_opened(const policy::EgressPolicy& policy, const wire::IpAddress& address);

// Where TLS or HTTP are spoken, and what is neither is refused if a name is to be seen.
[[nodiscard]] bool speaks_tls(wire::Port port);
[[nodiscard]] bool speaks_http(wire::Port port);

}  // namespace sluice::flow
