// Names as hosts have them, and names that stand for addresses.
#pragma once

#include <cstddef>
#include <optional>

#include "wire/address.h"
#include "wire/messages/domain_name.h"

namespace sluice::dns {

// Labels of letters, digits, hyphens and underscores (RFC 952, RFC 8552), so that the name is the
// same in a message, in a rule and on a screen. Not so the root.
[[nodiscard]] bool is_host_name(const wire::DomainName& name);

[[nodiscard]] std::size_t label_count(const wire::DomainName& name);

// The address that a name below in-addr.arpa or ip6.arpa stands for (RFC 1035, 3.5; RFC 3596, 2.5);
// nothing for any other name.
[[nodiscard]] std::optional<wire::IpAddress> reverse_address(const wire::DomainName& name);

}  // namespace sluice::dns
