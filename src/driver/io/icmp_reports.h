// What a socket's error says, in the words of the engine.
#pragma once

#include <cerrno>
#include <optional>

#include "flow/ip/icmp_error.h"
#include "host/error_queue.h"

namespace sluice::driver {

// Of an ICMP error that came back for a datagram; nothing for what a guest has no use for.
[[nodiscard]] inline std::optional<flow::IcmpError> icmp_error_of(const host::ErrorReport& report) {
  const bool v4 = report.origin == host::ErrorOrigin::kIcmp;
  if (!v4 && report.origin != host::ErrorOrigin::kIcmpv6) return std::nullopt;
  const auto kind = flow::icmp_error_kind(v4 ? wire::IpFamily::kV4 : wire::IpFamily::kV6,
                                          report.icmp_type, report.icmp_code);
  if (!kind) return std::nullopt;
  return flow::IcmpError{
      .kind = *kind, .mtu = report.info, .from = report.offender.value_or(wire::IpAddress{})};
}

// Of a send that failed on the spot: there is no ICMP error, but the guest should hear the same.
[[nodiscard]] inline std::optional<flow::IcmpError> icmp_error_of_send(int error) {
  switch (error) {
    case ENETUNREACH: return flow::IcmpError{.kind = flow::IcmpErrorKind::kNetUnreachable};
    case EHOSTUNREACH: return flow::IcmpError{.kind = flow::IcmpErrorKind::kHostUnreachable};
    case EACCES:
    case EPERM: return flow::IcmpError{.kind = flow::IcmpErrorKind::kProhibited};
    case ECONNREFUSED: return flow::IcmpError{.kind = flow::IcmpErrorKind::kPortUnreachable};
    default: return std::nullopt;
  }
}

// One turn reads at most this many errors from one socket.
inline constexpr int kErrorsPerTurn = 64;
// What is kept of the datagram that an error quotes.
inline constexpr std::size_t kQuoteMax = 512;

}  // namespace sluice::driver
