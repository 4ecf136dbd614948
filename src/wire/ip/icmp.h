// ICMP for IPv4 (RFC 792; next-hop MTU: RFC 1191).
//
//    0               1               2               3
//   +---------------+---------------+-------------------------------+
//   |     Type      |     Code      |           Checksum            |
//   +---------------+---------------+-------------------------------+
//   | Echo: identifier              | Echo: sequence number         |
//   | Unreachable: unused           | Unreachable: next-hop MTU     |
//   +-------------------------------+-------------------------------+
//   | Echo: data. Errors: the packet in question, cut off …         |
//   +---------------------------------------------------------------+
#pragma once

#include <cstdint>
#include <expected>

#include "base/bytes.h"
#include "wire/checksum.h"
#include "wire/parse_error.h"

namespace sluice::wire {

enum class IcmpType : std::uint8_t {
  kEchoReply = 0,
  kDestinationUnreachable = 3,
  kRedirect = 5,
  kEchoRequest = 8,
  kTimeExceeded = 11,
  kParameterProblem = 12,
};

// Codes of kDestinationUnreachable (RFC 792; RFC 1122, 3.2.2.1; RFC 1812, 5.2.7.1).
enum class IcmpUnreachable : std::uint8_t {
  kNetwork = 0,
  kHost = 1,
  kProtocol = 2,
  kPort = 3,
  kFragmentationNeeded = 4,
  kNetworkProhibited = 9,
  kHostProhibited = 10,
  kProhibited = 13,
};

// An error that holds more of the packet in question makes a datagram above 576 bytes (RFC 1812,
// 4.3.2.3).
inline constexpr std::size_t kIcmpQuoteMax = 576 - 20 - 8;

// Borrows the packet and must not outlive it.
class IcmpView {
 public:
  static constexpr std::size_t kHeaderSize = 8;

  [[nodiscard]] static std::expected<IcmpView, ParseError> parse(ByteView ip_payload) {
    if (ip_payload.size() < kHeaderSize) return std::unexpected(ParseError::kTruncated);
    return IcmpView(ip_payload);
  }
  [[nodiscard]] IcmpType type() const { return IcmpType{message_[0]}; }
  [[nodiscard]] std::uint8_t code() const { return message_[1]; }
  [[nodiscard]] std::uint16_t checksum() const { return be16<2>(header()); }
  [[nodiscard]] bool checksum_ok() const { return checksum_finish(checksum_add(0, message_)) == 0; }
  [[nodiscard]] bool is_error() const {
    return type() == IcmpType::kDestinationUnreachable || type() == IcmpType::kTimeExceeded ||
           type() == IcmpType::kParameterProblem;
  }
  // Of echo messages.
  [[nodiscard]] std::uint16_t identifier() const { return be16<4>(header()); }
  [[nodiscard]] std::uint16_t sequence_number() const { return be16<6>(header()); }
  // Of kFragmentationNeeded; routers older than RFC 1191 send zero.
  [[nodiscard]] std::uint16_t next_hop_mtu() const { return be16<6>(header()); }
  // Echo data, or the quoted packet of an error: see parse_quoted_ipv4().
  [[nodiscard]] ByteView payload() const { return message_.subspan(kHeaderSize); }

 private:
  explicit IcmpView(ByteView message) : message_(message) {}
  [[nodiscard]] FixedView<kHeaderSize> header() const { return message_.first<kHeaderSize>(); }

  ByteView message_;
};

struct IcmpRepr {
  IcmpType type{};
  std::uint8_t code = 0;
  std::uint16_t word0 = 0;  // echo: identifier
  std::uint16_t word1 = 0;  // echo: sequence number; fragmentation needed: next-hop MTU

  friend bool operator==(const IcmpRepr&, const IcmpRepr&) = default;

  [[nodiscard]] static constexpr IcmpRepr echo(IcmpType type, std::uint16_t identifier,
                                               std::uint16_t sequence_number) {
    return {type, 0, identifier, sequence_number};
  }
  [[nodiscard]] static constexpr IcmpRepr unreachable(IcmpUnreachable code,
                                                      std::uint16_t next_hop_mtu = 0) {
    return {IcmpType::kDestinationUnreachable, static_cast<std::uint8_t>(code), 0, next_hop_mtu};
  }
  [[nodiscard]] static constexpr IcmpRepr ttl_exceeded() {
    return {IcmpType::kTimeExceeded, 0, 0, 0};
  }
  [[nodiscard]] static IcmpRepr from(const IcmpView& view) {
    return {view.type(), view.code(), view.identifier(), view.sequence_number()};
  }

  // Writes the header with the checksum over it and `payload`, which the caller places behind it.
  void emit(FixedBytes<IcmpView::kHeaderSize> header, ByteView payload) const {
    put8<0>(header, static_cast<std::uint8_t>(type));
    put8<1>(header, code);
    put16<2>(header, 0);
    put16<4>(header, word0);
    put16<6>(header, word1);
    put16<2>(header, checksum_finish(checksum_add(checksum_add(0, header), payload)));
  }
};

}  // namespace sluice::wire
