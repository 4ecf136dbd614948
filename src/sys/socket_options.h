// Options of sockets, set and read: what all who make some share.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::sys {

// The protocol of multipath TCP for open_socket(): <netinet/in.h> of Debian 12 has it, older ones
// do not.
inline constexpr int kProtocolMptcp = 262;

// A non-blocking, close-on-exec socket.
[[nodiscard]] std::expected<KernelFd, SysError> open_socket(Kernel& kernel, int family, int type,
                                                            int protocol);

[[nodiscard]] std::expected<void, SysError> set_option(const KernelFd& fd, int level, int name,
                                                       int value);
// For what is good to have and whose lack changes nothing for the caller.
void prefer_option(const KernelFd& fd, int level, int name, int value);
[[nodiscard]] std::expected<int, SysError> get_option(const KernelFd& fd, int level, int name);

// SO_MARK, when there is one to set.
[[nodiscard]] std::expected<void, SysError> set_mark(const KernelFd& fd,
                                                     std::optional<std::uint32_t> mark);

// SO_BINDTODEVICE; an empty name: any device.
[[nodiscard]] std::expected<void, SysError> bind_to_device(const KernelFd& fd,
                                                           std::string_view device);
// IP_FREEBIND: bind() then takes an address that the host does not have, or not yet.
[[nodiscard]] std::expected<void, SysError> allow_any_address(const KernelFd& fd,
                                                              wire::IpFamily family);
// IP_TRANSPARENT: bind() then takes an address that is not ours. Needs CAP_NET_ADMIN.
[[nodiscard]] std::expected<void, SysError> make_transparent(const KernelFd& fd,
                                                             wire::IpFamily family);

// tcp(7). Zero: the system's default.
struct KeepAlive {
  std::uint32_t idle_seconds = 0;
  std::uint32_t interval_seconds = 0;
  std::uint32_t count = 0;
};
// Turns keep-alive on.
void prefer_keepalive(const KernelFd& fd, const KeepAlive& times);
enum class BufferKind : std::uint8_t { kReceive, kSend };
// SO_RCVBUFFORCE or SO_SNDBUFFORCE, in bytes: above the system's bound with CAP_NET_ADMIN, else up
// to it.
void force_buffer(const KernelFd& fd, BufferKind kind, int size);
// SO_RCVBUF and SO_SNDBUF in bytes; 0 leaves the system's default.
void prefer_buffers(const KernelFd& fd, std::uint32_t receive, std::uint32_t send);

[[nodiscard]] std::expected<void, SysError> bind_to(const KernelFd& fd,
                                                    const wire::Endpoint& endpoint,
                                                    std::uint32_t scope_id = 0);
[[nodiscard]] std::expected<wire::Endpoint, SysError> local_endpoint_of(const KernelFd& fd);

// TCP_INFO, tcp(7).
struct TcpInfo {
  // The handshake is over and neither side has ended the connection, or the peer has its own only:
  // what the kernel calls ESTABLISHED or CLOSE-WAIT.
  bool established = false;
  std::uint8_t unanswered_probes = 0;  // Keep-alives or window probes in a row.
  std::uint32_t segments_in = 0;
  std::uint64_t bytes_received = 0;  // In order, a FIN counted like a byte.
  Duration round_trip{};             // Smoothed; zero before anything was acknowledged.
};
[[nodiscard]] std::expected<TcpInfo, SysError> read_tcp_info(Kernel& kernel, int fd);

}  // namespace sluice::sys
