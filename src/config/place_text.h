// Places as text: "8080", "tcp://[::]:8080", "udp://:53", "db.example:8000-8009",
// "unix:/run/x.sock", "systemd:NAME". Every error is a whole sentence: what is wrong and what was
// expected.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "forward/plan.h"

namespace sluice::config {

enum class Side : std::uint8_t { kListen, kTarget };

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t count = 1;
};

// "80", "https" (a service of /etc/services), "8000-8009".
[[nodiscard]] std::expected<PortRange, std::string> parse_ports(std::string_view text,
                                                                policy::Protocol protocol);
[[nodiscard]] std::expected<std::uint16_t, std::string> parse_port(std::string_view text,
                                                                   policy::Protocol protocol);

struct Host {
  std::string text;
  std::uint32_t scope_id = 0;  // The interface that it names.
};

// A name or an address, with or without brackets. "" and "*" become "*" of a listener and "" of a
// target; the short forms of IPv4 that getaddrinfo() takes ("0", "127.1") become whole. A
// link-local address may name its interface, which must be there, or its number: "fe80::1%eth0".
[[nodiscard]] std::expected<Host, std::string> parse_host(std::string_view text, Side side);

// `protocol` holds where the text names none.
[[nodiscard]] std::expected<forward::Place, std::string> parse_place(std::string_view text,
                                                                     Side side,
                                                                     policy::Protocol protocol);
// The protocol that the text names by "tcp://", "udp://", "unix:" or "systemd:udp:".
[[nodiscard]] std::optional<policy::Protocol> protocol_named_in(std::string_view text);

}  // namespace sluice::config
