#include "serve/ports/port_follower.h"

#include <algorithm>

#include "telemetry/log.h"

namespace sluice::serve {
namespace {

// Of a client of DHCP, by IPv4 and IPv6 (RFC 2131, 4.1; RFC 8415, 7.2).
constexpr std::uint16_t kDhcpClient = 68;
constexpr std::uint16_t kDhcpV6Client = 546;
// As Linux has them unless it is told otherwise (net.ipv4.ip_local_port_range).
constexpr std::uint16_t kEphemeralFirst = 32'768;
constexpr std::uint16_t kEphemeralLast = 60'999;

[[nodiscard]] bool is_of_a_client(std::uint16_t port) {
  return port == kDhcpClient || port == kDhcpV6Client ||
         (port >= kEphemeralFirst && port <= kEphemeralLast);
}

}  // namespace

bool PortFollower::follows(policy::Protocol protocol) const {
  return std::ranges::find(like_, protocol, &policy::PortMap::protocol) != like_.end();
}

bool PortFollower::is_for_clients(policy::Protocol protocol, const wire::Endpoint& waiting) const {
  if (waiting.port.value == 0) return false;
  if (protocol == policy::Protocol::kUdp && is_of_a_client(waiting.port.value)) return false;
  // Who waits at the guest's loopback, or at an address that is not the guest's, cannot be reached.
  return waiting.address.is_unspecified() || waiting.address == network_.guest_v4 ||
         waiting.address == network_.guest_v6;
}

void PortFollower::look(policy::Protocol protocol, std::span<const wire::Endpoint> waiting) {
  for (auto& [key, followed] : followed_) {
    if (key.first == protocol) followed.waits = false;
  }
  std::size_t fresh = 0;
  for (const wire::Endpoint& one : waiting) {
    if (!is_for_clients(protocol, one)) continue;
    const Key key{protocol, one.port.value};
    if (const auto found = followed_.find(key); found != followed_.end()) {
      found->second.waits = true;
    } else if (followed_.size() < kPortsMax) {
      if (fresh++ < kNewMax) publish(key);
    } else if (!std::exchange(told_of_bound_, true)) {
      telemetry::log_warn("the guest waits at more than {} ports; others do not follow", kPortsMax);
    }
  }
  std::erase_if(followed_, [&](auto& one) {
    if (one.first.first != protocol || one.second.waits) return false;
    for (const policy::PortMap& map : one.second.published) (void)ports_.unpublish(map);
    return true;
  });
}

void PortFollower::publish(const Key& key) {
  Followed& followed = followed_[key];
  for (policy::PortMap map : like_) {
    if (map.protocol != key.first) continue;
    map.host_first = map.guest_first = wire::Port{key.second};
    map.count = 1;
    auto published = ports_.publish(map);
    if (published) {
      followed.published.push_back(*published);
    } else {
      telemetry::log_info("port {} of the guest is not published: {}", key.second,
                          published.error().message);
    }
  }
}

}  // namespace sluice::serve
