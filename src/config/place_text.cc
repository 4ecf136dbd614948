#include "config/place_text.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "config/messages.h"

namespace sluice::config {
namespace {

using policy::Protocol;

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kSystemd = "systemd:";

std::unexpected<std::string> fail(std::string text) { return std::unexpected(std::move(text)); }

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of(kDigits) == std::string_view::npos;
}

std::expected<std::uint16_t, std::string> parse_port_number(std::string_view text) {
  std::uint16_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value == 0) {
    return fail(fmt::format("port {} is out of range; expected 1 to 65535", quoted(text)));
  }
  return value;
}

std::optional<std::uint16_t> service_port(std::string_view name, Protocol protocol) {
  std::array<char, 2048> storage{};
  servent entry{};
  servent* found = nullptr;
  // Names hold no NUL: the caller has looked at each character.
  getservbyname_r(std::string(name).c_str(), std::string(policy::to_string(protocol)).c_str(),
                  &entry, storage.data(), storage.size(), &found);
  if (found == nullptr) return std::nullopt;
  return ntohs(static_cast<std::uint16_t>(found->s_port));
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_name(std::string_view text) {
  constexpr std::size_t kNameSizeMax = 253;  // RFC 1035, 2.3.4, without the root.
  return !text.empty() && text.size() <= kNameSizeMax && text[0] != '-' && text[0] != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_letter_or_digit(c) || c == '.' || c == '-' || c == '_';
         });
}

// "0", "127.1" and "2130706433" as getaddrinfo() reads them.
std::optional<std::string> whole_ipv4(std::string_view text) {
  in_addr address{};
  if (inet_aton(std::string(text).c_str(), &address) == 0) return std::nullopt;
  return wire::to_string(wire::IpAddress::v4(ntohl(address.s_addr)));
}

// An interface by name or by number, RFC 4007, 11.2. 0: there is none.
std::uint32_t interface_index(const std::string& name) {
  std::uint32_t number = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, number);
  std::array<char, IF_NAMESIZE> found{};
  if (error == std::errc{} && stop == end && ::if_indextoname(number, found.data()) != nullptr) {
    return number;
  }
  return ::if_nametoindex(name.c_str());
}

std::expected<Host, std::string> parse_scoped(std::string_view host, std::size_t percent) {
  const auto address = wire::parse_ip(host.substr(0, percent));
  if (!address || address->is_v4() || !address->is_link_local()) {
    return fail(
        fmt::format("{} names an interface, which only a link-local address needs; expected one as "
                    "fe80::1%eth0, or the interface as listen_device or target_device",
                    quoted(host)));
  }
  const std::string interface(host.substr(percent + 1));
  // A NUL within would end the name early.
  const std::uint32_t index =
      interface.find('\0') == std::string::npos ? interface_index(interface) : 0;
  if (index == 0) {
    return fail(
        fmt::format("{} is no interface of this host; expected the name or the number of one "
                    "behind the '%' of {}; 'ip link' lists them",
                    quoted(interface), quoted(host)));
  }
  return Host{.text = std::string(host), .scope_id = index};
}

std::expected<forward::Place, std::string> parse_unix(std::string_view path) {
  // "unix:///run/x.sock" is a habit; more slashes than one mean the same to the kernel.
  while (path.starts_with("//")) path.remove_prefix(1);
  constexpr std::size_t kPathSizeMax = sizeof(sockaddr_un::sun_path) - 1;
  if (path.empty() || path == "@") {
    return fail("a UNIX socket needs a path as unix:/run/x.sock, or unix:@name");
  }
  if (path.size() > kPathSizeMax || path.find('\0') != std::string_view::npos) {
    return fail(fmt::format("{} is no path of a UNIX socket; expected at most {} bytes",
                            quoted(path), kPathSizeMax));
  }
  forward::Place place;
  place.path = path;
  return place;
}

std::expected<forward::Place, std::string> parse_inherited(std::string_view name, Side side) {
  if (side == Side::kTarget) return fail("systemd: names a socket to listen on, not a target");
  forward::Place place;
  if (name.starts_with("udp:")) place.protocol = Protocol::kUdp;
  if (name.starts_with("udp:") || name.starts_with("tcp:")) name.remove_prefix(4);
  // What systemd.socket(5) takes for FileDescriptorName=.
  const bool is_good =
      !name.empty() && name.size() <= 255 &&
      std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~' && c != ':'; });
  if (!is_good) {
    return fail(
        fmt::format("{} is no name of a systemd socket; expected systemd:NAME, "
                    "systemd:udp:NAME, or its number from 0",
                    quoted(name)));
  }
  place.inherited = name;
  return place;
}

struct HostAndPorts {
  std::string_view host;
  std::string_view ports;
};

std::expected<HostAndPorts, std::string> split(std::string_view text, Side side) {
  if (text.starts_with('[')) {
    const std::size_t close = text.find("]:");
    if (close == std::string_view::npos) {
      return fail(fmt::format("{} needs a port behind its bracket as [::1]:8080", quoted(text)));
    }
    return HostAndPorts{text.substr(0, close + 1), text.substr(close + 2)};
  }
  const auto colons = std::count(text.begin(), text.end(), ':');
  if (colons > 1) {
    return fail(
        fmt::format("{} has several colons; expected brackets around an IPv6 address as "
                    "[::1]:8080",
                    quoted(text)));
  }
  if (colons == 1) {
    const std::size_t colon = text.find(':');
    return HostAndPorts{text.substr(0, colon), text.substr(colon + 1)};
  }
  const bool only_ports = !text.empty() && text[0] >= '0' && text[0] <= '9' &&
                          text.find_first_not_of("0123456789-") == std::string_view::npos;
  if (!only_ports) {
    return fail(fmt::format("{} has no port; expected {}", quoted(text),
                            side == Side::kListen ? "PORT or ADDRESS:PORT as 8080 or [::]:8080"
                                                  : "HOST:PORT as 10.0.0.2:80"));
  }
  return HostAndPorts{{}, text};
}

}  // namespace

std::expected<std::uint16_t, std::string> parse_port(std::string_view text, Protocol protocol) {
  if (is_number(text)) return parse_port_number(text);
  if (is_name(text)) {
    const auto port = service_port(text, protocol);
    if (port) return *port;
  }
  return fail(fmt::format("{} is no port; expected 1 to 65535 or a {} service of /etc/services",
                          quoted(text), policy::to_string(protocol)));
}

std::expected<PortRange, std::string> parse_ports(std::string_view text, Protocol protocol) {
  const std::size_t dash = text.find('-');
  const bool is_range = dash != std::string_view::npos && is_number(text.substr(0, dash)) &&
                        is_number(text.substr(dash + 1));
  if (!is_range) {
    const auto port = parse_port(text, protocol);
    if (!port) return fail(port.error());
    return PortRange{*port, 1};
  }
  const auto first = parse_port_number(text.substr(0, dash));
  if (!first) return fail(first.error());
  const auto last = parse_port_number(text.substr(dash + 1));
  if (!last) return fail(last.error());
  if (*last < *first) {
    return fail(
        fmt::format("range {} ends before it begins; expected the lower port first", quoted(text)));
  }
  // A port is at least 1, so all of them are 65535.
  return PortRange{*first, static_cast<std::uint16_t>(*last - *first + 1)};
}

std::expected<Host, std::string> parse_host(std::string_view text, Side side) {
  const bool bracketed = text.size() >= 2 && text.front() == '[' && text.back() == ']';
  const std::string_view host = bracketed ? text.substr(1, text.size() - 2) : text;
  if (!bracketed && (host.empty() || host == "*")) {
    return Host{.text = side == Side::kListen ? "*" : ""};
  }
  if (const std::size_t percent = host.find('%'); percent != std::string_view::npos) {
    return parse_scoped(host, percent);
  }
  if (wire::parse_ip(host)) return Host{.text = std::string(host)};
  if (bracketed || host.find(':') != std::string_view::npos) {
    return fail(fmt::format("{} is no IPv6 address; expected one as [2001:db8::1]", quoted(text)));
  }
  if (!host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos) {
    auto whole = whole_ipv4(host);
    if (whole) return Host{.text = std::move(*whole)};
    return fail(fmt::format("{} is no IPv4 address; expected one as 10.0.0.2", quoted(text)));
  }
  if (!is_name(host)) {
    return fail(
        fmt::format("{} is neither an address nor a name; expected letters, digits, '.', "
                    "'-' and '_'",
                    quoted(text)));
  }
  return Host{.text = std::string(host)};
}

std::optional<Protocol> protocol_named_in(std::string_view text) {
  if (text.starts_with("udp://") || text.starts_with("systemd:udp:")) return Protocol::kUdp;
  if (text.starts_with("tcp://") || text.starts_with("systemd:tcp:") || text.starts_with(kUnix)) {
    return Protocol::kTcp;
  }
  return std::nullopt;
}

std::expected<forward::Place, std::string> parse_place(std::string_view text, Side side,
                                                       Protocol protocol) {
  if (text.starts_with(kUnix)) return parse_unix(text.substr(kUnix.size()));
  const auto named = protocol_named_in(text);
  if (text.starts_with(kSystemd)) {
    auto place = parse_inherited(text.substr(kSystemd.size()), side);
    if (place && !named) place->protocol = protocol;
    return place;
  }
  forward::Place place;
  place.protocol = named.value_or(protocol);
  if (named) {
    text.remove_prefix(std::string_view("tcp://").size());
  } else if (text.find("://") != std::string_view::npos) {
    return fail(
        fmt::format("{} begins with an unknown scheme; expected tcp://, udp://, unix: or "
                    "systemd:",
                    quoted(text)));
  }
  const auto parts = split(text, side);
  if (!parts) return fail(parts.error());
  auto host = parse_host(parts->host, side);
  if (!host) return fail(host.error());
  const auto ports = parse_ports(parts->ports, place.protocol);
  if (!ports) return fail(ports.error());
  place.host = std::move(host->text);
  place.scope_id = host->scope_id;
  place.port = ports->first;
  place.port_count = ports->count;
  return place;
}

}  // namespace sluice::config
