// What the kernel tells of a TCP socket (TCP_INFO, tcp(7)). Read here alone: <linux/tcp.h>, which
// has all of the fields, and <netinet/tcp.h> exclude each other.
#pragma once

#include <cstdint>
#include <expected>

#include "sys/kernel.h"
#include "sys/sys_error.h"

namespace sluice::host {

struct TcpInfo {
  // The handshake is over and neither side has ended the connection, or the peer has its own only:
  // what the kernel calls ESTABLISHED or CLOSE-WAIT.
  bool established = false;
  std::uint8_t unanswered_probes = 0;  // Keep-alives or window probes in a row.
  std::uint32_t segments_in = 0;
  std::uint64_t bytes_received = 0;  // In order, a FIN counted like a byte.
};

[[nodiscard]] std::expected<TcpInfo, sys::SysError> read_tcp_info(sys::Kernel& kernel, int fd);

}  // namespace sluice::host
