// One rule of --deny or --allow: an address range and, if wanted, ports.
//
//   10.0.0.0/8            every port of every protocol
//   10.1.2.3:80           one address, one port
//   10.0.0.0/8:22,80-90   several ports and ranges
//   [fd00::]/8:443        IPv6 needs brackets when ports follow...
//   fd00::/8:443          ...unless the prefix length tells where the address ends
//   fd00::1               one IPv6 address, every port
//   10.0.0.0/8:*          the same as without ports
//   10.0.0.0/8:53/udp     one protocol of tcp, udp and icmp
//   10.0.0.0/8/icmp       ... every port of it, if it has ports
//
// A rule that names ports speaks of TCP and UDP only; ICMP has none.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/protocol.h"
#include "wire/address.h"

namespace sluice::policy {

// Both ends are part of the range.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  friend constexpr bool operator==(const PortRange&, const PortRange&) = default;
};

struct Rule {
  wire::Prefix prefix;
  // Sorted, disjoint, not adjacent. Empty: the rule is for every port and every protocol.
  std::vector<PortRange> ports{};
  std::optional<Protocol> protocol{};

  [[nodiscard]] bool names_ports() const { return !ports.empty(); }
  // How many ports it speaks of, 65536 without ports: the fewer, the more specific.
  [[nodiscard]] std::uint32_t port_count() const;
  friend bool operator==(const Rule&, const Rule&) = default;
};

// `expected` completes the sentence "'TEXT' is not a rule; expected …".
struct RuleError {
  std::string expected;
};

[[nodiscard]] std::expected<Rule, RuleError> parse_rule(std::string_view text);

// The shortest text that parses to the same rule.
[[nodiscard]] std::string to_string(const Rule& rule);

// How many ports a list speaks of, 65536 for an empty one.
[[nodiscard]] std::uint32_t port_count(std::span<const PortRange> ports);

// "80,443-450" of what is not empty.
[[nodiscard]] std::string to_string(std::span<const PortRange> ports);

// Cuts "/tcp", "/udp" or "/icmp" off the end of `text`, where it has one. A word behind the last
// slash that is no protocol is an error.
[[nodiscard]] std::expected<std::optional<Protocol>, RuleError> cut_protocol(
    std::string_view& text);

// "80", "80-90", "22,80-90"; nothing and "*" are every port and give an empty list.
[[nodiscard]] std::expected<std::vector<PortRange>, RuleError> parse_ports(std::string_view text);

}  // namespace sluice::policy
