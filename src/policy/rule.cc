#include "policy/rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "policy/parse_number.h"

namespace sluice::policy {
namespace {

constexpr std::string_view kExpectedPorts = "ports as 80, 80-90 or 22,80-90, each from 1 to 65535";

std::unexpected<RuleError> expected(std::string_view what) {
  return std::unexpected(RuleError{std::string(what)});
}

std::optional<PortRange> parse_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_port_number(text.substr(0, dash));
  if (!first) return std::nullopt;
  if (dash == std::string_view::npos) return PortRange{*first, *first};
  const auto last = parse_port_number(text.substr(dash + 1));
  if (!last || *last < *first) return std::nullopt;
  return PortRange{*first, *last};
}

void normalise(std::vector<PortRange>& ports) {
  std::sort(ports.begin(), ports.end(),
            [](const PortRange& a, const PortRange& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (std::size_t i = 1; i < ports.size(); ++i) {
    // In int, so that 65535 has a successor.
    if (int{ports[i].first} <= int{ports[kept].last} + 1) {
      ports[kept].last = std::max(ports[kept].last, ports[i].last);
    } else {
      ports[++kept] = ports[i];
    }
  }
  if (!ports.empty()) ports.resize(kept + 1);
}

// The text of a rule, cut where the ports begin.
struct RuleText {
  std::string prefix;      // Without brackets.
  std::string_view ports;  // Without its colon; may be empty.
};

std::optional<RuleText> cut_at_colon(std::string prefix, std::string_view text) {
  const std::size_t colon = text.find(':');
  prefix += text.substr(0, colon);
  if (colon == std::string_view::npos) return RuleText{std::move(prefix), {}};
  return RuleText{std::move(prefix), text.substr(colon + 1)};
}

std::optional<RuleText> cut(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view inside = text.substr(1, close - 1);
    const std::string_view behind = text.substr(close + 1);
    if (inside.find(':') == std::string_view::npos || inside.find('/') != std::string_view::npos) {
      return std::nullopt;
    }
    if (!behind.empty() && behind[0] != '/' && behind[0] != ':') return std::nullopt;
    return cut_at_colon(std::string(inside), behind);
  }
  // An IPv6 address has two colons at least, and neither IPv4 nor ports have one.
  const bool is_v6 = std::count(text.begin(), text.end(), ':') >= 2;
  if (!is_v6) return cut_at_colon({}, text);
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return RuleText{std::string(text), {}};
  return cut_at_colon(std::string(text.substr(0, slash)), text.substr(slash));
}

}  // namespace

std::uint32_t Rule::port_count() const { return policy::port_count(ports); }

std::uint32_t port_count(std::span<const PortRange> ports) {
  if (ports.empty()) return 65'536;
  std::uint32_t count = 0;
  for (const PortRange& range : ports) count += std::uint32_t{range.last} - range.first + 1;
  return count;
}

std::expected<std::vector<PortRange>, RuleError> parse_ports(std::string_view text) {
  std::vector<PortRange> ports;
  if (text.empty() || text == "*") return ports;
  while (true) {
    const std::size_t comma = text.find(',');
    const auto range = parse_range(text.substr(0, comma));
    if (!range) return expected(kExpectedPorts);
    ports.push_back(*range);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  normalise(ports);
  return ports;
}

std::expected<std::optional<Protocol>, RuleError> cut_protocol(std::string_view& text) {
  const std::size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view word = text.substr(slash + 1);
  if (word.empty() || word[0] < 'a' || word[0] > 'z') return std::nullopt;
  const auto protocol = parse_protocol(word);
  if (!protocol) return expected("a protocol of /tcp, /udp and /icmp");
  text = text.substr(0, slash);
  return protocol;
}

std::expected<Rule, RuleError> parse_rule(std::string_view text) {
  const auto protocol = cut_protocol(text);
  if (!protocol) return std::unexpected(protocol.error());
  const auto parts = cut(text);
  if (!parts) return expected("an IPv6 range in brackets as [fd00::]/8:443");
  const auto prefix = wire::parse_prefix(parts->prefix);
  if (!prefix) {
    switch (prefix.error()) {
      case wire::AddressError::kPrefixLength:
        return expected("a prefix length from 0 to 32 (IPv4) or from 0 to 128 (IPv6)");
      case wire::AddressError::kMalformed:
      case wire::AddressError::kPortRange:
        return expected("CIDR[:PORTS] as 10.0.0.0/8, 192.0.2.1:80 or [fd00::]/8:22,80-90");
    }
  }
  auto ports = parse_ports(parts->ports);
  if (!ports) return std::unexpected(std::move(ports.error()));
  if (*protocol == Protocol::kIcmp && !ports->empty()) {
    return expected("no ports before /icmp, which has none");
  }
  return Rule{*prefix, std::move(*ports), *protocol};
}

std::string to_string(const Rule& rule) {
  const bool is_v4 = rule.prefix.address.is_v4();
  const bool is_whole = rule.prefix.length == (is_v4 ? 32 : 128);
  std::string text = wire::to_string(rule.prefix.address);
  if (!is_v4 && rule.names_ports()) text = fmt::format("[{}]", text);
  if (!is_whole) text += fmt::format("/{}", rule.prefix.length);
  if (rule.names_ports()) text += fmt::format(":{}", to_string(std::span(rule.ports)));
  if (rule.protocol) text += fmt::format("/{}", to_string(*rule.protocol));
  return text;
}

std::string to_string(std::span<const PortRange> ports) {
  std::string text;
  for (const PortRange& range : ports) {
    if (!text.empty()) text += ',';
    text += fmt::to_string(range.first);
    if (range.last != range.first) text += fmt::format("-{}", range.last);
  }
  return text;
}

}  // namespace sluice::policy
