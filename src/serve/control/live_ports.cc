#include "serve/control/live_ports.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "driver/published_ports.h"

namespace sluice::serve {

std::expected<policy::PortMap, PortSet::Refusal> LivePorts::publish(const policy::PortMap& map) {
  const auto refused = [](std::string_view error, std::string message) {
    return std::unexpected(Refusal{error, std::move(message)});
  };
  if (map.count > kPortsMax) {
    return refused("bad-port", fmt::format("expected at most {} ports at a time", kPortsMax));
  }
  const auto taken = std::ranges::find_if(
      published_, [&](const policy::PortMap& one) { return policy::collide(one, map); });
  if (taken != published_.end()) {
    return refused("port-taken", fmt::format("{} is published already", policy::to_string(*taken)));
  }
  auto opened = driver::open_ports(sys::real_kernel(), {map}, network_);
  if (!opened) return refused("cannot-listen", opened.error());
  const policy::PortMap& published = opened->maps.front();
  if (const auto served = workers_.publish(std::move(opened->ports)); !served) {
    workers_.unpublish(policy::to_string(published));
    return refused("cannot-listen", served.error().describe());
  }
  published_.push_back(published);
  return published;
}

bool LivePorts::unpublish(const policy::PortMap& map) {
  const auto found = std::ranges::find(published_, map);
  if (found == published_.end()) return false;
  workers_.unpublish(policy::to_string(*found));
  published_.erase(found);
  return true;
}

bool LivePorts::has(const policy::PortMap& map) const {
  return std::ranges::find(published_, map) != published_.end();
}

bool LivePorts::waits_at(policy::Protocol protocol, const wire::Endpoint& host) const {
  return std::ranges::any_of(published_, [&](const policy::PortMap& map) {
    return map.protocol == protocol && host.port.value >= map.host_first.value &&
           host.port.value - map.host_first.value < map.count &&
           (!map.address || *map.address == host.address);
  });
}

}  // namespace sluice::serve
