// ICMP and ICMPv6 echo without privileges: SOCK_DGRAM with IPPROTO_ICMP or IPPROTO_ICMPV6, which
// net.ipv4.ping_group_range permits by group. The kernel owns the identifier: it replaces that of
// every request by the socket's, and computes the checksum.
//
// Owns its descriptor. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/bytes.h"
#include "host/error_queue.h"
#include "host/hop_limit.h"
#include "host/outbound.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::host {

struct PingReply {
  wire::IpAddress source;
  std::size_t length = 0;  // Bytes of the ICMP message, header included.
};

class PingSocket {
 public:
  PingSocket() = default;  // Holds no socket; only for slots that are filled later.

  [[nodiscard]] static std::expected<PingSocket, sys::SysError> open(sys::Kernel& kernel,
                                                                     wire::IpFamily family,
                                                                     const Outbound::Way& way = {});

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }
  void close() { fd_.reset(); }

  // The identifier that our requests carry on the wire.
  [[nodiscard]] std::expected<std::uint16_t, sys::SysError> identifier() const;

  // `message` is an echo request, header first. False means "full". `hop_limit` 0 leaves the
  // system's default.
  [[nodiscard]] std::expected<bool, sys::SysError> send(const wire::IpAddress& target,
                                                        ByteView message,
                                                        std::uint8_t hop_limit = 0);

  // One echo reply, header first, cut to fit. Nothing when none is there.
  [[nodiscard]] std::expected<std::optional<PingReply>, sys::SysError> receive(MutableBytes buffer);

  [[nodiscard]] std::expected<std::optional<ErrorReport>, sys::SysError> read_errors(
      MutableBytes quote) {
    return read_error_queue(fd_, quote);
  }

 private:
  PingSocket(sys::KernelFd fd, wire::IpFamily family) : fd_(std::move(fd)), family_(family) {}

  sys::KernelFd fd_;
  wire::IpFamily family_ = wire::IpFamily::kV4;
  HopLimit hop_limit_;
};

// Whether this process may open ping sockets: net.ipv4.ping_group_range, for both families.
[[nodiscard]] bool ping_permitted(sys::Kernel& kernel, wire::IpFamily family);

}  // namespace sluice::host
