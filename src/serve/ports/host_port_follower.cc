#include "serve/ports/host_port_follower.h"

#include <algorithm>

#include "serve/ports/client_ports.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

[[nodiscard]] policy::PortMap map_of(policy::Protocol protocol, std::uint16_t port,
                                     wire::IpFamily family) {
  return {.protocol = protocol,
          .address = wire::IpAddress::loopback(family),
          .host_first = wire::Port{port},
          .guest_first = wire::Port{port}};
}

}  // namespace

bool HostPortFollower::follows(policy::Protocol protocol) const {
  return covers(terms_.what.ports, protocol);
}

bool HostPortFollower::is_of_a_client(wire::Port port) const {
  return is_dhcp_client(port) ||
         (port.value >= terms_.what.ephemeral_first && port.value <= terms_.what.ephemeral_last);
}

bool HostPortFollower::is_followed(policy::Protocol protocol, const wire::Endpoint& waiting) const {
  const wire::IpAddress& address = waiting.address;
  if (waiting.port.value == 0) return false;
  if (!covers(terms_.what.ports, protocol, waiting.port)) return false;
  if (protocol == policy::Protocol::kUdp && is_of_a_client(waiting.port)) return false;
  // Who waits at another address, as at 127.0.0.53, is not at the one where we call.
  if (!address.is_unspecified() && address != wire::IpAddress::loopback(address.family())) {
    return false;
  }
  const auto is_named = [&](const policy::PortMap& map) {
    return map.has_guest_port(protocol, waiting.port);
  };
  if (std::ranges::any_of(terms_.named, is_named)) return false;
  return !terms_.is_ours || !terms_.is_ours(protocol, waiting);
}

std::size_t HostPortFollower::named_of(policy::Protocol protocol) const {
  std::size_t count = 0;
  for (const policy::PortMap& map : terms_.named) {
    if (map.protocol == protocol) count += map.count;
  }
  return count;
}

// Those that lead out already come first, and both families of a port are one.
HostPortFollower::Led HostPortFollower::within_bounds(policy::Protocol protocol,
                                                      const Led& wanted) {
  const std::size_t named = named_of(protocol);
  const std::size_t most = kPortsMax - std::min(named, kPortsMax);
  std::set<std::uint16_t> ports;
  for (const auto& one : wanted) {
    if (led(protocol).contains(one) && ports.size() < most) ports.insert(one.first);
  }
  bool all = true;
  for (const auto& one : wanted) {
    if (ports.contains(one.first)) continue;
    if (ports.size() < most) {
      ports.insert(one.first);
    } else {
      all = false;
    }
  }
  if (!all && !std::exchange(told_of_bound_, true)) {
    telemetry::log_warn(
        "programs of the host wait at more than {} ports: others do not lead out; -T and -U name "
        "those that are meant",
        kPortsMax);
  }
  Led within;
  for (const auto& one : wanted) {
    if (ports.contains(one.first)) within.insert(one);
  }
  return within;
}

void HostPortFollower::look(policy::Protocol protocol, std::span<const wire::Endpoint> waiting) {
  Led wanted;
  for (const wire::Endpoint& one : waiting) {
    if (!is_followed(protocol, one)) continue;
    wanted.emplace(one.port.value, one.address.family());
  }
  wanted = within_bounds(protocol, wanted);
  if (wanted == led(protocol)) return;
  led(protocol) = std::move(wanted);
  tell_lead_out();
}

void HostPortFollower::tell_lead_out() const {
  std::vector<policy::PortMap> all = terms_.named;
  for (const auto& [port, family] : tcp_) {
    all.push_back(map_of(policy::Protocol::kTcp, port, family));
  }
  for (const auto& [port, family] : udp_) {
    all.push_back(map_of(policy::Protocol::kUdp, port, family));
  }
  lead_out_(all);
}

}  // namespace sluice::serve
