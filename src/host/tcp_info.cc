#include "host/tcp_info.h"

#include <linux/tcp.h>

namespace sluice::host {
namespace {

// States of the kernel's (its include/net/tcp_states.h).
constexpr std::uint8_t kEstablished = 1;
constexpr std::uint8_t kCloseWait = 8;

}  // namespace

std::expected<TcpInfo, sys::SysError> read_tcp_info(sys::Kernel& kernel, int fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (kernel.getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kGetSockOpt));
  }
  return TcpInfo{.established = info.tcpi_state == kEstablished || info.tcpi_state == kCloseWait,
                 .unanswered_probes = info.tcpi_probes,
                 .segments_in = info.tcpi_segs_in,
                 .bytes_received = info.tcpi_bytes_received};
}

}  // namespace sluice::host
