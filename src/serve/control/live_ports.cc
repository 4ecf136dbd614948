#include "serve/control/live_ports.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "driver/published.h"

namespace sluice::serve {

std::expected<void, PortSet::Refusal> LivePorts::publish(const policy::PortMap& map) {
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
  auto ports = driver::PublishedPorts::open(sys::real_kernel(), {map}, network_);
  if (!ports) return refused("cannot-listen", ports.error());
  if (const auto served = workers_.publish(std::move(*ports)); !served) {
    workers_.unpublish(policy::to_string(map));
    return refused("cannot-listen", served.error().describe());
  }
  published_.push_back(map);
  return {};
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

}  // namespace sluice::serve
