#include "app/guest/loopback_options.h"

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "app/guest/port_list.h"

namespace sluice::app {
namespace {

using Checked = std::expected<void, Mistake>;

struct Way {
  OptionId option;
  std::string_view name;
  policy::Protocol protocol;
};
constexpr std::array kWays{Way{OptionId::kTcpNs, "--tcp-ns", policy::Protocol::kTcp},
                           Way{OptionId::kUdpNs, "--udp-ns", policy::Protocol::kUdp}};

// Two listeners at one place of the guest.
[[nodiscard]] bool share_a_port(const policy::PortMap& a, const policy::PortMap& b) {
  return a.protocol == b.protocol && a.guest_first.value < b.guest_first.value + b.count &&
         b.guest_first.value < a.guest_first.value + a.count;
}

Checked add(std::vector<policy::PortMap>& ports, const Way& way, const policy::PortMap& map) {
  std::size_t count = map.count;
  for (const policy::PortMap& other : ports) {
    if (other.protocol == map.protocol) count += other.count;
    if (!share_a_port(map, other)) continue;
    const bool other_begins = other.guest_first.value > map.guest_first.value;
    return fail("{}: port {} of the guest is named twice; expected one way for it", way.name,
                (other_begins ? other : map).guest_first.value);
  }
  if (count > kPortsOutMax) {
    return fail("{}: these are {} ports; expected {} at most", way.name, count, kPortsOutMax);
  }
  ports.push_back(map);
  return {};
}

}  // namespace

std::expected<void, Mistake> read_loopback_options(const RawOptions& raw,
                                                   NamespaceOptions& options) {
  for (const Way& way : kWays) {
    std::vector<policy::PortMap> listed;
    std::vector<serve::FollowedPorts> followed;
    for (const std::string& text : raw.all(way.option)) {
      auto ports = parse_ports_out(way.name, way.protocol, text);
      if (!ports) return std::unexpected(std::move(ports.error()));
      if (text == "none") {
        listed.clear();
        followed.clear();
      }
      if (ports->follow) followed.push_back(std::move(*ports->follow));
      listed.insert(listed.end(), ports->maps.begin(), ports->maps.end());
    }
    options.follow_host.insert(options.follow_host.end(), followed.begin(), followed.end());
    for (const policy::PortMap& map : listed) {
      if (auto added = add(options.loopback, way, map); !added) return added;
    }
  }
  if (raw.has(OptionId::kHostLoToNsLo)) options.call_guest = policy::LoopbackUse::kFirst;
  return {};
}

}  // namespace sluice::app
