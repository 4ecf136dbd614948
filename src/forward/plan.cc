#include "forward/plan.h"

#include <fmt/core.h>

#include <tuple>

#include "base/unreachable.h"

namespace sluice::forward {
namespace {

std::string host_of(const Place& place) {
  if (place.host.empty()) return "localhost";
  if (place.host.find(':') == std::string::npos) return place.host;
  return fmt::format("[{}]", place.host);
}

// By name, so that a member added to Rule does not compile until it is compared.
auto compared(const Rule& rule) {
  const auto& [name, where, listen, targets, balance, access, limits, client_limits, timeouts,
               health, proxy_in, proxy_from, proxy_out, framing, socket, relay] = rule;
  static_cast<void>(where);
  return std::tie(name, listen, targets, balance, access, limits, client_limits, timeouts, health,
                  proxy_in, proxy_from, proxy_out, framing, socket, relay);
}

}  // namespace

bool Rule::same_as(const Rule& other) const { return compared(*this) == compared(other); }

std::optional<wire::IpAddress> Place::literal() const {
  const auto address = wire::parse_ip(std::string_view(host).substr(0, host.find('%')));
  if (!address) return std::nullopt;
  return *address;
}

std::string to_string(const Place& place) {
  const bool is_udp = place.protocol == policy::Protocol::kUdp;
  if (place.is_unix()) return fmt::format("unix:{}", place.path);
  if (!place.inherited.empty()) {
    return fmt::format("systemd:{}{}", is_udp ? "udp:" : "", place.inherited);
  }
  std::string text =
      fmt::format("{}://{}:{}", policy::to_string(place.protocol), host_of(place), place.port);
  if (place.port_count > 1) text += fmt::format("-{}", place.port + place.port_count - 1);
  return text;
}

std::string_view to_string(Balance balance) {
  switch (balance) {
    case Balance::kRoundRobin: return "round-robin";
    case Balance::kLeastConnections: return "least-connections";
    case Balance::kClientHash: return "client-hash";
  }
  unreachable("balance outside its enum");
}

std::string_view to_string(LogFormat format) {
  switch (format) {
    case LogFormat::kRinetd: return "rinetd";
    case LogFormat::kCommon: return "common";
    case LogFormat::kJson: return "json";
  }
  unreachable("log format outside its enum");
}

}  // namespace sluice::forward
