// Types and answers of DNS as events and other tools' logs name them (the IANA's registry).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/messages/dns.h"

namespace sluice::telemetry {

// "AAAA"; "TYPE99" where it has no name here (RFC 3597, 5).
[[nodiscard]] std::string dns_type_text(wire::DnsType type);
// The other way; nothing for any other text.
[[nodiscard]] std::optional<std::uint16_t> dns_type_number(std::string_view text);

// "NXDOMAIN"; "RCODE9".
[[nodiscard]] std::string dns_rcode_text(wire::DnsRcode rcode);
[[nodiscard]] std::optional<std::uint16_t> dns_rcode_number(std::string_view text);

}  // namespace sluice::telemetry
