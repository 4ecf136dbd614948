// IPv4 (RFC 791).
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-------+-------+---------------+-------------------------------+
//   |Version|  IHL  |Type of service|         Total length          |
//   +-------+-------+---------------+-----+-------------------------+
//   |        Identification         |Flags|     Fragment offset     |
//   +---------------+---------------+-----+-------------------------+
//   |  Time to live |    Protocol   |        Header checksum        |
//   +---------------+---------------+-------------------------------+
//   |                        Source address                         |
//   +---------------------------------------------------------------+
//   |                      Destination address                      |
//   +---------------------------------------------------------------+
//   |                       Options (0…40 bytes)                    |
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

// Borrows the packet and must not outlive it. The lengths are checked by parse(); the checksum is
// not, ask header_checksum_ok().
class Ipv4View {
 public:
  static constexpr std::size_t kHeaderSize = 20;

  // Link padding after the total length is dropped. A total length of zero, which Linux uses inside
  // the kernel for packets above 64 KiB, is refused.
  [[nodiscard]] static std::expected<Ipv4View, ParseError> parse(ByteView bytes) {
    if (bytes.size() < kHeaderSize) return std::unexpected(ParseError::kTruncated);
    const FixedView<kHeaderSize> header = bytes.first<kHeaderSize>();
    if (header[0] >> 4 != 4) return std::unexpected(ParseError::kBadVersion);
    const std::size_t header_length = (header[0] & 0xfU) * std::size_t{4};
    const std::size_t total_length = be16<2>(header);
    if (header_length < kHeaderSize || total_length < header_length) {
      return std::unexpected(ParseError::kBadLength);
    }
    if (total_length > bytes.size()) return std::unexpected(ParseError::kTruncated);
    return Ipv4View(bytes.first(total_length), header_length);
  }

  [[nodiscard]] IpAddress source() const { return IpAddress::v4(header().subspan<12, 4>()); }
  [[nodiscard]] IpAddress destination() const { return IpAddress::v4(header().subspan<16, 4>()); }
  [[nodiscard]] IpProtocol protocol() const { return IpProtocol{header()[9]}; }
  [[nodiscard]] std::uint8_t ttl() const { return header()[8]; }
  [[nodiscard]] std::uint8_t dscp_ecn() const { return header()[1]; }
  [[nodiscard]] std::uint16_t identification() const { return be16<4>(header()); }
  [[nodiscard]] bool dont_fragment() const { return (header()[6] & 0x40U) != 0; }
  [[nodiscard]] bool more_fragments() const { return (header()[6] & 0x20U) != 0; }
  // In bytes.
  [[nodiscard]] std::uint32_t fragment_offset() const {
    return (be16<6>(header()) & 0x1fffU) * std::uint32_t{8};
  }
  [[nodiscard]] bool is_fragment() const { return (be16<6>(header()) & 0x3fffU) != 0; }
  [[nodiscard]] std::size_t header_length() const { return header_length_; }
  [[nodiscard]] bool header_checksum_ok() const {
    return checksum_finish(checksum_add(0, packet_.first(header_length_))) == 0;
  }
  [[nodiscard]] ByteView options() const {
    return packet_.subspan(kHeaderSize, header_length_ - kHeaderSize);
  }
  [[nodiscard]] ByteView payload() const { return packet_.subspan(header_length_); }
  // Header and payload, without link padding.
  [[nodiscard]] ByteView packet() const { return packet_; }

 private:
  Ipv4View(ByteView packet, std::size_t header_length)
      : packet_(packet), header_length_(header_length) {}
  [[nodiscard]] FixedView<kHeaderSize> header() const { return packet_.first<kHeaderSize>(); }

  ByteView packet_;
  std::size_t header_length_;
};

// A header without options. Addresses are IPv4.
struct Ipv4Repr {
  IpAddress source{};
  IpAddress destination{};
  IpProtocol protocol{};
  std::uint8_t ttl = 64;
  std::uint16_t payload_length = 0;  // at most 65515
  std::uint16_t identification = 0;
  bool dont_fragment = true;
  std::uint8_t tos = 0;
  bool more_fragments = false;
  std::uint16_t fragment_offset = 0;  // in bytes, a multiple of 8

  friend bool operator==(const Ipv4Repr&, const Ipv4Repr&) = default;

  // Writes the header with its checksum.
  void emit(FixedBytes<Ipv4View::kHeaderSize> header) const {
    put8<0>(header, 0x45);
    put8<1>(header, tos);
    put16<2>(header, static_cast<std::uint16_t>(Ipv4View::kHeaderSize + payload_length));
    put16<4>(header, identification);
    const std::uint32_t flags = (dont_fragment ? 0x4000U : 0U) | (more_fragments ? 0x2000U : 0U);
    put16<6>(header, static_cast<std::uint16_t>(flags | (fragment_offset / 8U)));
    put8<8>(header, ttl);
    put8<9>(header, static_cast<std::uint8_t>(protocol));
    put16<10>(header, 0);
    put32<12>(header, source.v4_value());
    put32<16>(header, destination.v4_value());
    put16<10>(header, checksum_finish(checksum_add(0, header)));
  }
};

}  // namespace sluice::wire
