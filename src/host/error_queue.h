// The error queue of datagram sockets (IP_RECVERR, IPV6_RECVERR; ip(7), ipv6(7)): ICMP errors
// about datagrams this socket sent, with who sent the error and where the datagram was going.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/bytes.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::host {

enum class ErrorOrigin : std::uint8_t { kLocal, kIcmp, kIcmpv6, kOther };

struct ErrorReport {
  ErrorOrigin origin = ErrorOrigin::kOther;
  int error = 0;               // The errno the kernel makes of it.
  std::uint8_t icmp_type = 0;  // Of an ICMP or ICMPv6 origin only.
  std::uint8_t icmp_code = 0;
  std::uint32_t info = 0;                                  // The MTU, when error is EMSGSIZE.
  std::optional<wire::IpAddress> offender = std::nullopt;  // The node that sent the ICMP error.
  // Where that datagram came from: only of sockets with packet information.
  std::optional<wire::IpAddress> local = std::nullopt;
  wire::Endpoint destination;  // Of the datagram that met the error; port 0 for ICMP echo.
  std::size_t quoted = 0;      // Bytes of that datagram's payload copied to the buffer.
};

// Whether the peer or a node on the way refused the datagram. A path's MTU that was exceeded is
// none: it concerns the kernel, which fragments where there is no DF.
[[nodiscard]] inline bool is_refusal(const ErrorReport& report) {
  const bool icmp = report.origin == ErrorOrigin::kIcmp || report.origin == ErrorOrigin::kIcmpv6;
  return icmp && report.error != EMSGSIZE;
}

// Takes one report. Nothing when the queue is empty. What the error quotes of the datagram's
// payload (for ping sockets: the echo message) goes to `quote`, cut to fit.
[[nodiscard]] std::expected<std::optional<ErrorReport>, sys::SysError> read_error_queue(
    const sys::KernelFd& fd, MutableBytes quote);

}  // namespace sluice::host
