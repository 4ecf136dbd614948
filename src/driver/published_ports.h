// Published ports as they are before anybody serves them: listeners and bound sockets of the host.
// Opened before the guest begins, so that a port that cannot be had is an error at once.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <vector>

#include "flow/core/frame_owner.h"
#include "flow/core/guest_network.h"
#include "host/accept.h"
#include "host/listener.h"
#include "host/udp_socket.h"
#include "policy/port_map.h"
#include "sys/kernel.h"

namespace sluice::driver {

// Ports that were left out though somebody wants to hear of it (policy::IfTaken::kTell).
struct LeftOut {
  static constexpr std::size_t kToldMax = 16;

  std::vector<std::string> told;  // A sentence for each of the first.
  std::size_t count = 0;          // Of all.
};

struct PublishedPorts {
  struct Tcp {
    host::TcpListener listener;
    wire::Endpoint guest;
    std::string map{};  // What it is of, as policy::to_string() has it.
    host::AcceptShare share{};
  };
  struct Udp {
    host::UdpSocket socket;
    wire::Endpoint guest;
    std::string map{};
  };
  std::vector<Tcp> tcp;
  std::vector<Udp> udp;

  // For each worker of a group what it serves: who accepts is the first, and the datagrams of a
  // port are with the owner of the guest's.
  [[nodiscard]] std::vector<PublishedPorts> split(const flow::FrameOwner& owner) &&;
};

struct OpenedPorts {
  PublishedPorts ports;
  std::vector<policy::PortMap> maps;  // As they were asked for, with the ports that were picked.
  LeftOut left_out;
};

// Whether who has a port is looked up: not where we are confined, and see nobody.
enum class NameHolders : bool { kNo, kYes };

// Binds every port of every map. The error is a sentence that names the map.
[[nodiscard]] std::expected<OpenedPorts, std::string> open_ports(
    sys::Kernel& kernel, std::vector<policy::PortMap> maps, const flow::GuestNetwork& network,
    NameHolders holders = NameHolders::kNo);

}  // namespace sluice::driver
