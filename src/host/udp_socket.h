// A non-blocking UDP socket of the host. Unconnected it serves many peers (RFC 4787: one socket per
// guest endpoint, endpoint-independent mapping; or a listener); connected it has one.
//
// Datagrams larger than the path's MTU are fragmented (no DF). ICMP errors come through
// read_errors(), which epoll announces with EPOLLERR. Owns its descriptor. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "host/datagram.h"
#include "host/error_queue.h"
#include "host/hop_limit.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::host {

struct UdpOptions {
  std::optional<wire::Endpoint> bind = std::nullopt;  // Any port of any address when absent.
  std::uint32_t scope_id = 0;  // Interface index of `bind` if that is link-local.
  // Reports the address each datagram was sent to, so that a published port answers from it.
  bool packet_info = false;
  bool receive_offload = true;  // UDP GRO: several datagrams of one sender in one buffer.
  std::optional<std::uint32_t> mark = std::nullopt;
  std::uint32_t receive_buffer = 0;  // SO_RCVBUF in bytes; 0 leaves the system's default.
  std::uint32_t send_buffer = 0;     // SO_SNDBUF, likewise.
  bool freebind = false;             // IP_FREEBIND: an address that is not the host's, or not yet.
  std::string_view device = {};      // SO_BINDTODEVICE; empty: any.
  // IP_TRANSPARENT: `bind` need not be an address of ours. Needs CAP_NET_ADMIN.
  bool transparent = false;
};

class UdpSocket {
 public:
  UdpSocket() = default;  // Holds no socket; only for slots that are filled later.

  // An IPv6 socket is IPv6 only.
  [[nodiscard]] static std::expected<UdpSocket, sys::SysError> open(sys::Kernel& kernel,
                                                                    wire::IpFamily family,
                                                                    const UdpOptions& options = {});
  // Takes over a bound, non-blocking socket as it is; of both families if it is "::" of a dual
  // stack.
  [[nodiscard]] static UdpSocket adopt(sys::KernelFd fd);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }
  void close() { fd_.reset(); }
  [[nodiscard]] std::expected<wire::Endpoint, sys::SysError> local_endpoint() const;
  // Whether it serves peers of this family: a dual-stack socket does so for both.
  [[nodiscard]] bool speaks(wire::IpFamily family) const;

  // From now on only `peer` is heard, and its ICMP errors come as errors of receive(). Datagrams
  // go to it whatever their target says: without an address the kernel need not look up a route
  // for each.
  // `scope_id` is the interface index of a link-local peer.
  [[nodiscard]] std::expected<void, sys::SysError> connect(const wire::Endpoint& peer,
                                                           std::uint32_t scope_id = 0);

  // How many of the datagrams, from the front, the kernel took; at most DatagramScratch::kBatch
  // a call. Zero means "full, wait for writable". An error is about the first datagram: drop it
  // and go on with the next. All must be of the socket's family.
  [[nodiscard]] std::expected<std::size_t, sys::SysError> send(
      DatagramScratch& scratch, std::span<const OutgoingDatagram> datagrams);

  // How many slots, from the front, were filled; zero means nothing is there.
  [[nodiscard]] std::expected<std::size_t, sys::SysError> receive(
      DatagramScratch& scratch, std::span<IncomingDatagram> slots);

  [[nodiscard]] std::expected<std::optional<ErrorReport>, sys::SysError> read_errors(
      MutableBytes quote) {
    return read_error_queue(fd_, quote);
  }

 private:
  UdpSocket(sys::KernelFd fd, wire::IpFamily family) : fd_(std::move(fd)), family_(family) {}
  [[nodiscard]] std::expected<void, sys::SysError> apply(const UdpOptions& options);
  [[nodiscard]] std::expected<void, sys::SysError> bind_as(const UdpOptions& options);
  [[nodiscard]] std::expected<std::size_t, sys::SysError> send_segments(
      DatagramScratch& scratch, const OutgoingDatagram& datagram);

  sys::KernelFd fd_;
  wire::IpFamily family_ = wire::IpFamily::kV4;
  bool connected_ = false;
  HopLimit hop_limit_;
};

}  // namespace sluice::host
