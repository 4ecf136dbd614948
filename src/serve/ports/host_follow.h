// Which ports of the host lead out of the guest's loopback as its programs come and go
// (host_port_follower.h).
#pragma once

#include <cstdint>
#include <vector>

#include "serve/ports/followed_ports.h"

namespace sluice::serve {

struct HostFollow {
  std::vector<FollowedPorts> ports{};  // Their places do not count.
  // Ports that the host's kernel gives to whoever asks for any.
  std::uint16_t ephemeral_first = 32'768;
  std::uint16_t ephemeral_last = 60'999;
};

}  // namespace sluice::serve
