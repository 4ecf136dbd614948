// Names of hosts as clients write them into the first bytes of a connection: the server name of TLS
// (RFC 6066, 3) and the host of HTTP (RFC 9110, 7.2).
#pragma once

#include <optional>
#include <string_view>

#include "wire/messages/domain_name.h"

namespace sluice::wire {

// Letters, digits, hyphens and underscores in labels, at most 253 characters, no dot at the end.
// Nothing for all else, nor for what a resolver takes for an IPv4 address: a last label that is a
// number, decimal or hexadecimal (WHATWG URL, 3.5).
[[nodiscard]] std::optional<DomainName> host_name_from_text(std::string_view text);

}  // namespace sluice::wire
