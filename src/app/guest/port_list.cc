#include "app/guest/port_list.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "policy/parse_number.h"

namespace sluice::app {
namespace {

constexpr std::size_t kPorts = std::numeric_limits<std::uint16_t>::max() + std::size_t{1};
constexpr std::string_view kShape =
    "none, all, auto, or ports as 22,8080:80,2000-2010, without some as all,~22, with "
    "ADDRESS%INTERFACE/ before them if need be";
constexpr std::string_view kShapeOut =
    "none, auto, or ports as 5432,8080:80,2000-2010, without some as auto,~22";

struct Range {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
};

// Which port of the guest each port of the host leads to; 0: none.
class Forwarding {
 public:
  void lead(const Range& host, std::uint16_t guest_first) {
    for (std::uint32_t port = host.first; port <= host.last; ++port) {
      to_[port] = static_cast<std::uint16_t>(guest_first + (port - host.first));
    }
  }
  void exclude(const Range& host) {
    for (std::uint32_t port = host.first; port <= host.last; ++port) excluded_.set(port);
  }

  // As few maps as there can be; each is `like` otherwise.
  [[nodiscard]] std::vector<policy::PortMap> maps(const policy::PortMap& like) const {
    std::vector<policy::PortMap> maps;
    for (std::uint32_t port = 1; port < kPorts; ++port) {
      if (to_[port] == 0 || excluded_.test(port)) continue;
      policy::PortMap* const last = maps.empty() ? nullptr : &maps.back();
      if (last != nullptr && last->host_first.value + last->count == port &&
          last->guest_first.value + last->count == to_[port]) {
        ++last->count;
        continue;
      }
      policy::PortMap map = like;
      map.host_first = wire::Port{static_cast<std::uint16_t>(port)};
      map.guest_first = wire::Port{to_[port]};
      maps.push_back(std::move(map));
    }
    return maps;
  }
  [[nodiscard]] std::vector<policy::PortRange> excluded() const {
    std::vector<policy::PortRange> ranges;
    for (std::size_t at = 1; at < kPorts; ++at) {
      if (!excluded_.test(at)) continue;
      const auto port = static_cast<std::uint16_t>(at);
      if (ranges.empty() || ranges.back().last + 1 != port) ranges.push_back({port, port});
      ranges.back().last = port;
    }
    return ranges;
  }

 private:
  std::array<std::uint16_t, kPorts> to_{};
  std::bitset<kPorts> excluded_;
};

std::optional<Range> parse_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = policy::parse_port_number(text.substr(0, dash));
  if (!first) return std::nullopt;
  if (dash == std::string_view::npos) return Range{*first, *first};
  const auto last = policy::parse_port_number(text.substr(dash + 1));
  if (!last || *last < *first) return std::nullopt;
  return Range{*first, *last};
}

// What the parts between commas say.
struct Parts {
  Forwarding forwarding;
  bool all = false;
  bool follow = false;
  bool any_named = false;
};

// One of them. False where it is none.
bool read_part(std::string_view part, Parts& parts) {
  if (part == "all" || part == "auto") {
    bool& said = part == "all" ? parts.all : parts.follow;
    return !std::exchange(said, true);
  }
  if (part.starts_with('~')) {
    const auto range = parse_range(part.substr(1));
    if (range) parts.forwarding.exclude(*range);
    return range.has_value();
  }
  const std::size_t colon = part.find(':');
  const auto host = parse_range(part.substr(0, colon));
  const auto guest = colon == std::string_view::npos ? host : parse_range(part.substr(colon + 1));
  if (!host || !guest) return false;
  // A lone port behind the colon is where the range begins there.
  const bool alone = guest->first == guest->last;
  if (!alone && guest->last - guest->first != host->last - host->first) return false;
  if (guest->first + (host->last - host->first) >= static_cast<int>(kPorts)) return false;
  parts.forwarding.lead(*host, guest->first);
  parts.any_named = true;
  return true;
}

// Cuts "ADDRESS%INTERFACE/" off the front of `text`, either of them or none.
bool take_place(std::string_view& text, policy::PortMap& map) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return true;
  std::string_view place = text.substr(0, slash);
  text.remove_prefix(slash + 1);
  if (const std::size_t percent = place.find('%'); percent != std::string_view::npos) {
    map.interface = place.substr(percent + 1);
    if (map.interface.empty()) return false;
    place = place.substr(0, percent);
    if (place.empty()) return true;
  }
  if (place.size() > 2 && place.starts_with('[') && place.ends_with(']')) {
    place = place.substr(1, place.size() - 2);
  }
  const auto address = wire::parse_ip(place);
  if (address) map.address = *address;
  return address.has_value();
}

// Nothing where it is none.
std::optional<PortList> read_list(std::string_view text, policy::Protocol protocol,
                                  const EphemeralPorts& ephemeral) {
  if (text == "none") return PortList{};
  policy::PortMap like;
  like.protocol = protocol;
  if (!take_place(text, like)) return std::nullopt;

  const auto parts = std::make_unique<Parts>();
  while (true) {
    const std::size_t comma = text.find(',');
    if (!read_part(text.substr(0, comma), *parts)) return std::nullopt;
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (parts->all && (parts->any_named || parts->follow)) return std::nullopt;
  PortList list;
  if (parts->follow) {
    list.follow = serve::FollowedPorts{.like = like, .except = parts->forwarding.excluded()};
  } else if (!parts->any_named) {
    parts->forwarding.lead({1, std::numeric_limits<std::uint16_t>::max()}, 1);
    parts->forwarding.exclude({ephemeral.first, ephemeral.last});
    like.if_taken = policy::IfTaken::kLeaveOut;
  }
  list.maps = parts->forwarding.maps(like);
  return list;
}

}  // namespace

EphemeralPorts EphemeralPorts::of_host() {
  EphemeralPorts ports;
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  EphemeralPorts read;
  if (file >> read.first >> read.last && read.first <= read.last) ports = read;
  return ports;
}

std::expected<PortList, Mistake> parse_port_list(std::string_view option, std::string_view text,
                                                 policy::Protocol protocol,
                                                 const EphemeralPorts& ephemeral) {
  auto list = read_list(text, protocol, ephemeral);
  if (list) return std::move(*list);
  return fail("{}: '{}' are no ports; expected {}", option, text, kShape);
}

std::expected<PortsOut, Mistake> parse_ports_out(std::string_view option, policy::Protocol protocol,
                                                 std::string_view text) {
  auto list = read_list(text, protocol, EphemeralPorts::of_host());
  if (!list) return fail("{}: '{}' are no ports; expected {}", option, text, kShapeOut);
  const auto has_place = [](const policy::PortMap& map) {
    return map.address || !map.interface.empty();
  };
  if (std::ranges::any_of(list->maps, has_place) ||
      (list->follow && has_place(list->follow->like))) {
    return fail("{}: '{}': these are ports of the guest's loopback in both families; expected {}",
                option, text, kShapeOut);
  }
  std::size_t ports = 0;
  for (policy::PortMap& map : list->maps) {
    std::swap(map.host_first, map.guest_first);
    ports += map.count;
  }
  if (ports > kPortsOutMax) {
    return fail("{}: '{}' are {} ports; expected {} at most, those that are meant", option, text,
                ports, kPortsOutMax);
  }
  return PortsOut{.maps = std::move(list->maps), .follow = std::move(list->follow)};
}

}  // namespace sluice::app
