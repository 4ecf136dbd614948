// UDP (RFC 768).
//
//   0      7 8     15 16    23 24    31
//   +--------+--------+--------+--------+
//   |   Source port   |   Dest. port    |
//   +--------+--------+--------+--------+
//   |     Length      |    Checksum     |
//   +--------+--------+--------+--------+
#pragma once

#include <cstdint>
#include <expected>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/checksum.h"
#include "wire/parse_error.h"

namespace sluice::wire {

// A UdpView exists only for bytes that passed parse(), so accessors cannot fail. It borrows the
// packet and must not outlive it.
class UdpView {
 public:
  static constexpr std::size_t kHeaderSize = 8;

  [[nodiscard]] static std::expected<UdpView, ParseError> parse(ByteView ip_payload) {
    if (ip_payload.size() < kHeaderSize) return std::unexpected(ParseError::kTruncated);
    const std::size_t length = be16<4>(ip_payload.first<kHeaderSize>());
    if (length < kHeaderSize) return std::unexpected(ParseError::kBadLength);
    if (length > ip_payload.size()) return std::unexpected(ParseError::kTruncated);
    return UdpView(ip_payload.first(length));
  }
  [[nodiscard]] Port source_port() const { return Port{be16<0>(header())}; }
  [[nodiscard]] Port destination_port() const { return Port{be16<2>(header())}; }
  // Of header and payload.
  [[nodiscard]] std::uint16_t length() const { return be16<4>(header()); }
  [[nodiscard]] std::uint16_t checksum() const { return be16<6>(header()); }
  // Zero means "not computed", which only IPv4 allows (RFC 8200, 8.1).
  [[nodiscard]] bool checksum_ok(const IpAddress& source, const IpAddress& destination) const {
    if (checksum() == 0) return source.is_v4();
    const std::uint32_t pseudo = pseudo_header_sum(source, destination, IpProtocol::kUdp, length());
    return checksum_finish(checksum_add(pseudo, datagram_)) == 0;
  }
  [[nodiscard]] ByteView payload() const { return datagram_.subspan(kHeaderSize); }

 private:
  explicit UdpView(ByteView datagram) : datagram_(datagram) {}
  [[nodiscard]] FixedView<kHeaderSize> header() const { return datagram_.first<kHeaderSize>(); }

  ByteView datagram_;
};

inline constexpr std::size_t kUdpChecksumOffset = 6;

struct UdpRepr {
  Port source_port{};
  Port destination_port{};
  std::uint16_t payload_length = 0;  // at most 65527
  std::uint16_t checksum = 0;        // written as it is

  friend bool operator==(const UdpRepr&, const UdpRepr&) = default;

  void emit(FixedBytes<UdpView::kHeaderSize> header) const {
    put16<0>(header, source_port.value);
    put16<2>(header, destination_port.value);
    put16<4>(header, static_cast<std::uint16_t>(UdpView::kHeaderSize + payload_length));
    put16<6>(header, checksum);
  }
};

// The complete checksum of a datagram whose header was emitted with checksum 0.
[[nodiscard]] inline std::uint16_t udp_checksum(const IpAddress& source,
                                                const IpAddress& destination,
                                                FixedView<UdpView::kHeaderSize> header,
                                                ByteView payload) {
  const std::uint32_t pseudo =
      pseudo_header_sum(source, destination, IpProtocol::kUdp,
                        static_cast<std::uint32_t>(UdpView::kHeaderSize + payload.size()));
  return checksum_finish_udp(checksum_add(checksum_add(pseudo, header), payload));
}

}  // namespace sluice::wire
