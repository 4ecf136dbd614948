#include "policy/port_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "policy/parse_number.h"

namespace sluice::policy {
namespace {

std::unexpected<PortMapError> expected(std::string_view what) {
  return std::unexpected(PortMapError{std::string(what)});
}

struct Ports {
  std::uint16_t first = 0;
  std::uint16_t count = 0;
};

std::optional<Ports> parse_ports_of_map(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_port_number(text.substr(0, dash));
  if (!first) return std::nullopt;
  if (dash == std::string_view::npos) return Ports{*first, 1};
  const auto last = parse_port_number(text.substr(dash + 1));
  if (!last || *last < *first) return std::nullopt;
  return Ports{*first, static_cast<std::uint16_t>(*last - *first + 1)};
}

// Cuts "/tcp" or "/udp" off the end of `text`.
std::optional<Protocol> take_protocol(std::string_view& text) {
  const std::size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return Protocol::kTcp;
  const std::string_view name = text.substr(slash + 1);
  text = text.substr(0, slash);
  if (name == "tcp") return Protocol::kTcp;
  if (name == "udp") return Protocol::kUdp;
  return std::nullopt;
}

// Cuts "ADDR:" off the front of `text`, if it is there. An empty text means "not there".
std::optional<std::string_view> take_address(std::string_view& text) {
  std::string_view address;
  if (text.starts_with('[')) {
    const std::size_t close = text.find("]:");
    if (close == std::string_view::npos) return std::nullopt;
    address = text.substr(1, close - 1);
    if (address.find(':') == std::string_view::npos) return std::nullopt;
    text.remove_prefix(close + 2);
  } else if (std::count(text.begin(), text.end(), ':') == 2) {
    address = text.substr(0, text.find(':'));
    if (address.empty()) return std::nullopt;
    text.remove_prefix(address.size() + 1);
  }
  return address;
}

std::string format_ports(wire::Port first, std::uint16_t count) {
  if (count == 1) return fmt::to_string(first.value);
  return fmt::format("{}-{}", first.value, first.value + count - 1);
}

}  // namespace

std::expected<PortMap, PortMapError> parse_port_map(std::string_view text) {
  constexpr std::string_view kShape =
      "[ADDR:]HOST:GUEST[/tcp|/udp] as 8080:80, 127.0.0.1:8080:80 or [::1]:5353:53/udp";
  constexpr Ports kPicked{0, 1};
  PortMap map;
  const auto protocol = take_protocol(text);
  if (!protocol) return expected("/tcp or /udp behind the ports");
  map.protocol = *protocol;

  const auto address = take_address(text);
  if (!address || std::count(text.begin(), text.end(), ':') != 1) return expected(kShape);
  if (!address->empty()) {
    const auto parsed = wire::parse_ip(*address);
    if (!parsed) return expected(kShape);
    map.address = *parsed;
  }

  const std::size_t colon = text.find(':');
  const std::string_view named = text.substr(0, colon);
  const auto host = named == "0" ? kPicked : parse_ports_of_map(named);
  const auto guest = parse_ports_of_map(text.substr(colon + 1));
  if (!host || !guest) {
    return expected("ports from 1 to 65535, ranges as 8000-8010:80-90, or 0:80 for a free port");
  }
  if (host->count != guest->count) return expected("two port ranges of the same size");
  map.host_first = wire::Port{host->first};
  map.guest_first = wire::Port{guest->first};
  map.count = host->count;
  return map;
}

std::string to_string(const PortMap& map) {
  std::string text;
  if (map.address) {
    const std::string address = wire::to_string(*map.address);
    text = map.address->is_v4() ? address + ":" : "[" + address + "]:";
  }
  text += format_ports(map.host_first, map.count);
  text += ':';
  text += format_ports(map.guest_first, map.count);
  if (map.protocol == Protocol::kUdp) text += "/udp";
  return text;
}

bool collide(const PortMap& a, const PortMap& b) {
  if (a.protocol != b.protocol) return false;
  if (a.host_first.value == 0 || b.host_first.value == 0) return false;
  const bool apart = a.host_first.value + a.count <= b.host_first.value ||
                     b.host_first.value + b.count <= a.host_first.value;
  if (apart) return false;
  if (!a.interface.empty() && !b.interface.empty() && a.interface != b.interface) return false;
  if (!a.address || !b.address || *a.address == *b.address) return true;
  return a.address->family() == b.address->family() &&
         (a.address->is_unspecified() || b.address->is_unspecified());
}

}  // namespace sluice::policy
