#include "serve/ports/port_follower.h"

#include <algorithm>

#include "serve/ports/client_ports.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

// As Linux has them unless it is told otherwise (net.ipv4.ip_local_port_range).
constexpr std::uint16_t kEphemeralFirst = 32'768;
constexpr std::uint16_t kEphemeralLast = 60'999;

[[nodiscard]] bool is_of_a_client(wire::Port port) {
  return is_dhcp_client(port) || (port.value >= kEphemeralFirst && port.value <= kEphemeralLast);
}

}  // namespace

bool PortFollower::follows(policy::Protocol protocol) const {
  return covers(terms_.ports, protocol);
}

bool PortFollower::is_ours(policy::Protocol protocol, wire::Port port) const {
  if (terms_.leads_out && terms_.leads_out(protocol, port)) return true;
  return std::ranges::any_of(terms_.loopback, [&](const policy::PortMap& map) {
    return map.has_guest_port(protocol, port);
  });
}

std::optional<PortFollower::Reach> PortFollower::reach_of(policy::Protocol protocol,
                                                          const wire::Endpoint& waiting) const {
  const wire::IpAddress& address = waiting.address;
  if (waiting.port.value == 0) return std::nullopt;
  if (!covers(terms_.ports, protocol, waiting.port)) return std::nullopt;
  if (protocol == policy::Protocol::kUdp && is_of_a_client(waiting.port)) return std::nullopt;
  if (address.is_unspecified() || address == network_.guest_v4 || address == network_.guest_v6) {
    return Reach::kEverywhere;
  }
  // Those at another address of the guest cannot be reached.
  if (terms_.call_guest == policy::LoopbackUse::kNever ||
      address != wire::IpAddress::loopback(address.family()) || is_ours(protocol, waiting.port)) {
    return std::nullopt;
  }
  return address.is_v4() ? Reach::kLoopbackV4 : Reach::kLoopbackV6;
}

void PortFollower::note(policy::Protocol protocol, std::span<const wire::Endpoint> waiting) {
  for (const wire::Endpoint& one : waiting) {
    const auto reach = reach_of(protocol, one);
    if (!reach) continue;
    const Key key{protocol, one.port.value, *reach};
    if (const auto found = followed_.find(key); found != followed_.end()) {
      found->second.waits = true;
    } else if (followed_.size() < kPortsMax) {
      followed_.emplace(key, Followed());
    } else if (!std::exchange(told_of_bound_, true)) {
      telemetry::log_warn("the guest waits at more than {} ports; others do not follow", kPortsMax);
    }
  }
}

void PortFollower::look(policy::Protocol protocol, std::span<const wire::Endpoint> waiting) {
  for (auto& [key, followed] : followed_) {
    if (std::get<policy::Protocol>(key) == protocol) followed.waits = false;
  }
  note(protocol, waiting);
  std::erase_if(followed_, [&](auto& one) {
    if (std::get<policy::Protocol>(one.first) != protocol || one.second.waits) return false;
    unpublish(one.second);
    return true;
  });
  std::size_t fresh = 0;
  for (auto& [key, followed] : followed_) {
    Key everywhere = key;
    std::get<Reach>(everywhere) = Reach::kEverywhere;
    if (key != everywhere && followed_.contains(everywhere)) {
      unpublish(followed);
      followed = {};
    } else if (!followed.asked && fresh++ < kNewMax) {
      publish(key, followed);
    }
  }
}

std::optional<policy::PortMap> PortFollower::map_of(const Key& key, policy::PortMap like) {
  const auto& [protocol, port, reach] = key;
  like.host_first = like.guest_first = wire::Port{port};
  like.count = 1;
  if (reach == Reach::kEverywhere) return like;
  const auto family = reach == Reach::kLoopbackV4 ? wire::IpFamily::kV4 : wire::IpFamily::kV6;
  if (!like.interface.empty() && like.interface != "lo") return std::nullopt;
  if (like.address && like.address->family() != family) return std::nullopt;
  if (!like.address || like.address->is_unspecified()) {
    like.address = wire::IpAddress::loopback(family);
  }
  if (!like.address->is_loopback()) return std::nullopt;
  return like;
}

void PortFollower::publish(const Key& key, Followed& followed) {
  followed.asked = true;
  const wire::Port port{std::get<std::uint16_t>(key)};
  for (const FollowedPorts& one : terms_.ports) {
    if (!one.covers(std::get<policy::Protocol>(key), port)) continue;
    const auto map = map_of(key, one.like);
    if (!map) continue;
    auto published = ports_.publish(*map);
    if (published) {
      followed.published.push_back(*published);
    } else {
      telemetry::log_info("port {} of the guest is not published: {}", port.value,
                          published.error().message);
    }
  }
}

void PortFollower::unpublish(const Followed& followed) {
  // One that a person took away meanwhile is gone already.
  for (const policy::PortMap& map : followed.published) (void)ports_.unpublish(map);
}

}  // namespace sluice::serve
