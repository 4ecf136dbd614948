// ICMPv6 (RFC 4443). Neighbor Discovery, which it carries, is in wire/ip/ndp.h.
//
//    0               1               2               3
//   +---------------+---------------+-------------------------------+
//   |     Type      |     Code      |           Checksum            |
//   +---------------+---------------+-------------------------------+
//   | Echo: identifier              | Echo: sequence number         |
//   | Packet too big: MTU (32 bits)                                 |
//   +-------------------------------+-------------------------------+
//   | Echo: data. Errors: the packet in question, cut off …         |
//   +---------------------------------------------------------------+
#pragma once

#include <cstdint>
#include <expected>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/checksum.h"
#include "wire/ip_protocol.h"
#include "wire/parse_error.h"

namespace sluice::wire {

enum class Icmpv6Type : std::uint8_t {
  kDestinationUnreachable = 1,
  kPacketTooBig = 2,
  kTimeExceeded = 3,
  kParameterProblem = 4,
  kEchoRequest = 128,
  kEchoReply = 129,
  kMulticastListenerQuery = 130,
  kMulticastListenerReport = 131,
  kMulticastListenerDone = 132,
  kRouterSolicitation = 133,
  kRouterAdvertisement = 134,
  kNeighborSolicitation = 135,
  kNeighborAdvertisement = 136,
  kMulticastListenerReportV2 = 143,
};

// Codes of kDestinationUnreachable.
enum class Icmpv6Unreachable : std::uint8_t {
  kNoRoute = 0,
  kProhibited = 1,
  kBeyondScope = 2,
  kAddress = 3,
  kPort = 4,
};

// An error holds as much of the packet in question as fits the minimum MTU (RFC 4443, 3.1).
inline constexpr std::size_t kIcmpv6QuoteMax = 1280 - 40 - 8;

// Over a complete message, whose checksum field counts as it stands: zero if it is right.
[[nodiscard]] inline std::uint16_t icmpv6_checksum(const IpAddress& source,
                                                   const IpAddress& destination, ByteView header,
                                                   ByteView payload) {
  const std::uint32_t pseudo =
      pseudo_header_sum(source, destination, IpProtocol::kIcmpv6,
                        static_cast<std::uint32_t>(header.size() + payload.size()));
  return checksum_finish(checksum_add(checksum_add(pseudo, header), payload));
}

// Borrows the packet and must not outlive it.
class Icmpv6View {
 public:
  static constexpr std::size_t kHeaderSize = 8;

  [[nodiscard]] static std::expected<Icmpv6View, ParseError> parse(ByteView ip_payload) {
    if (ip_payload.size() < kHeaderSize) return std::unexpected(ParseError::kTruncated);
    return Icmpv6View(ip_payload);
  }
  [[nodiscard]] Icmpv6Type type() const { return Icmpv6Type{message_[0]}; }
  [[nodiscard]] std::uint8_t code() const { return message_[1]; }
  [[nodiscard]] std::uint16_t checksum() const { return be16<2>(header()); }
  [[nodiscard]] bool checksum_ok(const IpAddress& source, const IpAddress& destination) const {
    return icmpv6_checksum(source, destination, header(), payload()) == 0;
  }
  [[nodiscard]] bool is_error() const { return (message_[0] & 0x80) == 0; }
  // Of echo messages.
  [[nodiscard]] std::uint16_t identifier() const { return be16<4>(header()); }
  [[nodiscard]] std::uint16_t sequence_number() const { return be16<6>(header()); }
  // Of kPacketTooBig.
  [[nodiscard]] std::uint32_t mtu() const { return be32<4>(header()); }
  // Echo data, or the quoted packet of an error: see parse_quoted_ipv6().
  [[nodiscard]] ByteView payload() const { return message_.subspan(kHeaderSize); }
  [[nodiscard]] ByteView message() const { return message_; }

 private:
  explicit Icmpv6View(ByteView message) : message_(message) {}
  [[nodiscard]] FixedView<kHeaderSize> header() const { return message_.first<kHeaderSize>(); }

  ByteView message_;
};

struct Icmpv6Repr {
  Icmpv6Type type{};
  std::uint8_t code = 0;
  std::uint32_t word = 0;  // echo: identifier and sequence number; packet too big: MTU

  friend bool operator==(const Icmpv6Repr&, const Icmpv6Repr&) = default;

  [[nodiscard]] static constexpr Icmpv6Repr echo(Icmpv6Type type, std::uint16_t identifier,
                                                 std::uint16_t sequence_number) {
    return {type, 0, (std::uint32_t{identifier} << 16) | sequence_number};
  }
  [[nodiscard]] static constexpr Icmpv6Repr unreachable(Icmpv6Unreachable code) {
    return {Icmpv6Type::kDestinationUnreachable, static_cast<std::uint8_t>(code), 0};
  }
  [[nodiscard]] static constexpr Icmpv6Repr packet_too_big(std::uint32_t mtu) {
    return {Icmpv6Type::kPacketTooBig, 0, mtu};
  }
  [[nodiscard]] static constexpr Icmpv6Repr hop_limit_exceeded() {
    return {Icmpv6Type::kTimeExceeded, 0, 0};
  }
  [[nodiscard]] static Icmpv6Repr from(const Icmpv6View& view) {
    return {view.type(), view.code(), view.mtu()};
  }

  // Writes the header with the checksum over it, `payload`, which the caller places behind it, and
  // the pseudo-header of the packet that will carry it.
  void emit(FixedBytes<Icmpv6View::kHeaderSize> header, ByteView payload, const IpAddress& source,
            const IpAddress& destination) const {
    put8<0>(header, static_cast<std::uint8_t>(type));
    put8<1>(header, code);
    put16<2>(header, 0);
    put32<4>(header, word);
    put16<2>(header, icmpv6_checksum(source, destination, header, payload));
  }
};

}  // namespace sluice::wire
