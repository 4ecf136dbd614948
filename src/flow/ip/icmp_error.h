// ICMP and ICMPv6 errors for the guest (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3.2, RFC 4443), as
// whole Ethernet frames. Pure functions; the rate limit is an object of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/time.h"
#include "flow/core/guest_network.h"
#include "wire/address.h"
#include "wire/ip/ip.h"
#include "wire/ip_protocol.h"
#include "wire/seq_num.h"

namespace sluice::flow {

enum class IcmpErrorKind : std::uint8_t {
  kNetUnreachable,
  kHostUnreachable,
  kProtocolUnreachable,
  kPortUnreachable,
  kProhibited,
  kTooBig,
  kTimeExceeded,
};

struct IcmpError {
  IcmpErrorKind kind{};
  std::uint32_t mtu = 0;   // Only of kTooBig.
  wire::IpAddress from{};  // Whoever raised it; "::" stands for the gateway.
};

// What an error that the host received means, by its ICMP type and code. Nothing for messages that
// are no errors, and for those a guest has no use for.
[[nodiscard]] std::optional<IcmpErrorKind> icmp_error_kind(wire::IpFamily family, std::uint8_t type,
                                                           std::uint8_t code);

// The longest frame that the functions below write.
inline constexpr std::size_t kIcmpErrorFrameMax = 14 + 1280;

// Answers a packet of the guest. Returns the length of the frame in `out`, or zero where no error
// may be sent (RFC 1122, 3.2.2; RFC 4443, 2.4 e): about an ICMP error, a multicast or broadcast
// address, a source that is no single host, or a fragment that is not the first.
[[nodiscard]] std::size_t emit_icmp_error(const IcmpError& error, const GuestNetwork& network,
                                          const wire::MacAddress& guest_mac,
                                          const wire::IpPacketView& offending, MutableBytes out);

// A packet of the guest that is gone: the host's kernel only told its addresses. An error about it
// quotes headers built anew, so that the guest's sockets and traceroute recognise their packet.
struct LostPacket {
  wire::IpProtocol protocol{};   // kTcp: a SYN; kUdp; kIcmp and kIcmpv6: an echo request.
  wire::Endpoint guest{};        // Its port is the echo's identifier.
  wire::Endpoint remote{};       // Its port is the echo's sequence number.
  std::uint8_t hop_limit = 1;    // With which the packet reached whoever raised the error.
  ByteView payload{};            // As much of it as is known.
  std::size_t payload_size = 0;  // Of the whole; less than what is known counts as what is known.
  wire::SeqNum sequence{};       // Of a SYN.

  // A SYN of which no more is kept.
  [[nodiscard]] static LostPacket syn(const wire::Endpoint& guest, const wire::Endpoint& remote,
                                      wire::SeqNum sequence) {
    return {
        .protocol = wire::IpProtocol::kTcp, .guest = guest, .remote = remote, .sequence = sequence};
  }
};

[[nodiscard]] std::size_t emit_icmp_error(const IcmpError& error, const GuestNetwork& network,
                                          const wire::MacAddress& guest_mac, const LostPacket& lost,
                                          MutableBytes out);

// A token bucket (RFC 1812, 4.3.2.8; RFC 4443, 2.4 f). The defaults are those of Linux
// (icmp_msgs_per_sec), with a burst that takes a whole traceroute.
class IcmpErrorLimiter {
 public:
  explicit IcmpErrorLimiter(std::uint32_t per_second = 1000, std::uint32_t burst = 100)
      : interval_(per_second == 0 ? Duration::max()
                                  : std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second),
        burst_(burst),
        tokens_(burst) {}

  // Whether an error may be sent now; takes a token if so.
  [[nodiscard]] bool allow(Instant now);

 private:
  Duration interval_;  // For one token.
  std::uint32_t burst_;
  std::uint32_t tokens_;
  Instant refilled_{};
};

}  // namespace sluice::flow
