#include "forward/listen/listener_key.h"

#include <fmt/core.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/unreachable.h"
#include "sys/sockaddr.h"
#include "sys/sys_error.h"

namespace sluice::forward {
namespace {

struct Address {
  wire::IpAddress address;
  std::uint32_t scope_id = 0;
};

[[nodiscard]] std::string interface_name(std::uint32_t index) {
  std::array<char, IF_NAMESIZE> name{};
  if (::if_indextoname(index, name.data()) == nullptr) return std::to_string(index);
  return name.data();
}

// So that a key stays one line, whatever a path holds.
[[nodiscard]] std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '%') {
      out += fmt::format("%{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

// The options that belong to a listening socket. What a protocol does not have is left out, so
// that a change of it changes nothing.
[[nodiscard]] std::string options_text(const SocketPlan& socket, policy::Protocol protocol) {
  std::string text;
  if (!socket.listen_device.empty())
    text += fmt::format(" dev={}", printable(socket.listen_device));
  if (socket.receive_buffer != 0) text += fmt::format(" rcvbuf={}", socket.receive_buffer);
  if (socket.send_buffer != 0) text += fmt::format(" sndbuf={}", socket.send_buffer);
  if (protocol == policy::Protocol::kUdp) return text;
  const KeepAlivePlan& alive = socket.keepalive;
  if (alive.enabled) {
    text +=
        fmt::format(" keepalive={}/{}/{}", alive.idle_seconds, alive.interval_seconds, alive.count);
  }
  if (socket.fast_open) text += " fastopen";
  if (socket.multipath) text += " mptcp";
  return text;
}

[[nodiscard]] std::string key_of(const ListenerKey& spec, const Rule& rule) {
  if (spec.kind == ListenerKind::kUnix) return fmt::format("unix:{}", printable(spec.path));
  const std::string options = options_text(rule.socket, spec.protocol);
  if (spec.kind == ListenerKind::kActivated) {
    return fmt::format("activated:{}{}", spec.activated, options);
  }
  const std::string place =
      spec.kind == ListenerKind::kAddress ? wire::to_string(spec.endpoint) : place_text(spec);
  const std::string scope = spec.scope_id == 0 ? "" : fmt::format("%{}", spec.scope_id);
  const std::string key =
      fmt::format("{}:{}{}{}", policy::to_string(spec.protocol), place, scope, options);
  // Any free port: each rule has its own.
  return spec.endpoint.port.value == 0 ? fmt::format("{} rule={}", key, printable(rule.name)) : key;
}

[[nodiscard]] std::expected<std::vector<Address>, std::string> resolve(const Place& place) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = place.protocol == policy::Protocol::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(place.host.c_str(), nullptr, &hints, &found); error != 0) {
    const std::string why =
        error == EAI_SYSTEM ? sys::errno_text(errno) : std::string(::gai_strerror(error));
    return std::unexpected(fmt::format(
        "cannot listen on '{}': {}; expected an address or a name of this host", place.host, why));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* item = found; item != nullptr; item = item->ai_next) {
    sys::SocketAddress socket_address;
    if (item->ai_addrlen > sizeof socket_address.storage) continue;
    std::copy_n(reinterpret_cast<const std::uint8_t*>(item->ai_addr), item->ai_addrlen,
                reinterpret_cast<std::uint8_t*>(&socket_address.storage));
    const auto endpoint = sys::from_sockaddr(socket_address.storage, item->ai_addrlen);
    if (!endpoint) continue;
    Address address{endpoint->address, 0};
    if (item->ai_family == AF_INET6) {
      address.scope_id = reinterpret_cast<const sockaddr_in6*>(item->ai_addr)->sin6_scope_id;
    }
    const bool known = std::any_of(addresses.begin(), addresses.end(), [&](const Address& other) {
      return other.address == address.address && other.scope_id == address.scope_id;
    });
    if (!known) addresses.push_back(address);
  }
  return addresses;
}

[[nodiscard]] std::expected<std::vector<Address>, std::string> addresses_of(const Place& place) {
  if (const auto literal = place.literal()) {
    return std::vector<Address>{Address{*literal, place.scope_id}};
  }
  return resolve(place);
}

}  // namespace

std::string place_text(const ListenerKey& spec) {
  switch (spec.kind) {
    case ListenerKind::kAddress:
      if (spec.scope_id == 0) return wire::to_string(spec.endpoint);
      return fmt::format("[{}%{}]:{}", wire::to_string(spec.endpoint.address),
                         interface_name(spec.scope_id), spec.endpoint.port.value);
    case ListenerKind::kEverywhere: return fmt::format("*:{}", spec.endpoint.port.value);
    case ListenerKind::kUnix: return spec.path;
    case ListenerKind::kActivated: return fmt::format("activated socket {}", spec.activated);
  }
  unreachable("listener kind outside its enum");
}

std::string message_prefix(const Rule& rule) {
  if (rule.where.line != 0) return fmt::format("{}:{}: ", rule.where.file, rule.where.line);
  if (!rule.name.empty() && rule.name != to_string(rule.listen)) {
    return fmt::format("rule '{}': ", rule.name);
  }
  return "";
}

std::expected<std::vector<ListenerKey>, std::string> listener_keys(const Rule& rule,
                                                                   std::size_t rule_number) {
  ListenerKey spec;
  spec.protocol = rule.listen.protocol;
  spec.rule = rule_number;
  std::vector<ListenerKey> specs;
  if (rule.listen.is_unix()) {
    spec.kind = ListenerKind::kUnix;
    spec.path = rule.listen.path;
    spec.key = key_of(spec, rule);
    specs.push_back(std::move(spec));
    return specs;
  }
  std::vector<Address> addresses(1);
  if (rule.listen.host.empty() || rule.listen.host == "*") {
    spec.kind = ListenerKind::kEverywhere;
  } else {
    auto found = addresses_of(rule.listen);
    if (!found) return std::unexpected(std::move(found.error()));
    addresses = std::move(*found);
  }
  spec.one_of_many = addresses.size() > 1;
  for (const Address& address : addresses) {
    for (std::uint16_t i = 0; i < rule.listen.port_count; ++i) {
      spec.endpoint = {address.address,
                       wire::Port{static_cast<std::uint16_t>(rule.listen.port + i)}};
      spec.scope_id = address.scope_id;
      spec.port_offset = i;
      spec.key = key_of(spec, rule);
      specs.push_back(spec);
    }
  }
  return specs;
}

ListenerKey activated_spec(const Rule& rule, std::size_t rule_number, std::size_t position) {
  ListenerKey spec;
  spec.kind = ListenerKind::kActivated;
  spec.protocol = rule.listen.protocol;
  spec.activated = position;
  spec.rule = rule_number;
  spec.key = key_of(spec, rule);
  return spec;
}

}  // namespace sluice::forward
