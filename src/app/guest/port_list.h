// Ports as -t and -u name them, ours as those of passt and pasta (passt(1)), as maps.
//
//   none                       nothing, and what was named before it counts no more
//   all                        all but the ephemeral ones, where the host has them free
//   auto                       those at which the guest waits, as long as it does
//   auto,~22,8080:80           ... but one of them, and one that is there in any case
//   22,8080:80,2000-2010       the same port in the guest, or another behind the colon
//   192.0.2.1%eth0/22          on one address, by one interface
//   2000-5000,~3000-3010       a range without a part of it; with ~ alone, all but that part
//
// -T names the other way in the same words: ports of the guest's loopback, and behind the colon
// those of the host's; "auto" are those at which the host waits.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <vector>

#include "app/options/early_exit.h"
#include "policy/port_map.h"
#include "serve/ports/followed_ports.h"

namespace sluice::app {

// Ports that the kernel gives to whoever asks for any: net.ipv4.ip_local_port_range.
struct EphemeralPorts {
  std::uint16_t first = 32'768;
  std::uint16_t last = 60'999;

  // This host's; as above where it does not tell.
  [[nodiscard]] static EphemeralPorts of_host();
};

struct PortList {
  // In the order of their ports, none longer than it must be; those of "all", and of exclusions
  // alone, are left out where they are taken.
  std::vector<policy::PortMap> maps;
  std::optional<serve::FollowedPorts> follow;  // Of "auto".
};

// `option` is named in the mistake.
[[nodiscard]] std::expected<PortList, Mistake> parse_port_list(std::string_view option,
                                                               std::string_view text,
                                                               policy::Protocol protocol,
                                                               const EphemeralPorts& ephemeral);

struct PortsOut {
  std::vector<policy::PortMap> maps;
  std::optional<serve::FollowedPorts> follow;  // Of "auto".
};

// Of -T and -U: no more than so many ports in all, as each costs two sockets in the guest. An
// address and an interface are mistakes.
inline constexpr std::size_t kPortsOutMax = 1024;
[[nodiscard]] std::expected<PortsOut, Mistake> parse_ports_out(std::string_view option,
                                                               policy::Protocol protocol,
                                                               std::string_view text);

}  // namespace sluice::app
