// TCP segments (RFC 9293, 3.1).
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-------------------------------+-------------------------------+
//   |          Source port          |       Destination port        |
//   +-------------------------------+-------------------------------+
//   |                        Sequence number                        |
//   +---------------------------------------------------------------+
//   |                     Acknowledgment number                     |
//   +-------+-------+-+-+-+-+-+-+-+-+-------------------------------+
//   | Data  | Rsrvd |C|E|U|A|P|R|S|F|            Window             |
//   | offset|       |W|C|R|C|S|S|Y|I|                               |
//   |       |       |R|E|G|K|H|T|N|N|                               |
//   +-------+-------+-+-+-+-+-+-+-+-+-------------------------------+
//   |           Checksum            |         Urgent pointer        |
//   +-------------------------------+-------------------------------+
//   |                       Options (0…40 bytes)                    |
//   +---------------------------------------------------------------+
#pragma once

#include <cstdint>
#include <expected>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/checksum.h"
#include "wire/parse_error.h"
#include "wire/seq_num.h"
#include "wire/transport/tcp_options.h"

namespace sluice::wire {

struct TcpFlags {
  static constexpr std::uint8_t kFin = 0x01;
  static constexpr std::uint8_t kSyn = 0x02;
  static constexpr std::uint8_t kRst = 0x04;
  static constexpr std::uint8_t kPsh = 0x08;
  static constexpr std::uint8_t kAck = 0x10;
  static constexpr std::uint8_t kUrg = 0x20;
  static constexpr std::uint8_t kEce = 0x40;
  static constexpr std::uint8_t kCwr = 0x80;

  std::uint8_t bits = 0;

  [[nodiscard]] constexpr bool fin() const { return (bits & kFin) != 0; }
  [[nodiscard]] constexpr bool syn() const { return (bits & kSyn) != 0; }
  [[nodiscard]] constexpr bool rst() const { return (bits & kRst) != 0; }
  [[nodiscard]] constexpr bool psh() const { return (bits & kPsh) != 0; }
  [[nodiscard]] constexpr bool ack() const { return (bits & kAck) != 0; }
  [[nodiscard]] constexpr bool urg() const { return (bits & kUrg) != 0; }
  [[nodiscard]] constexpr bool ece() const { return (bits & kEce) != 0; }
  [[nodiscard]] constexpr bool cwr() const { return (bits & kCwr) != 0; }

  friend constexpr TcpFlags operator|(TcpFlags a, TcpFlags b) {
    return {static_cast<std::uint8_t>(a.bits | b.bits)};
  }
  friend constexpr bool operator==(TcpFlags, TcpFlags) = default;
};

inline constexpr TcpFlags kFin{TcpFlags::kFin};
inline constexpr TcpFlags kSyn{TcpFlags::kSyn};
inline constexpr TcpFlags kRst{TcpFlags::kRst};
inline constexpr TcpFlags kPsh{TcpFlags::kPsh};
inline constexpr TcpFlags kAck{TcpFlags::kAck};

// Borrows the packet and must not outlive it.
class TcpView {
 public:
  static constexpr std::size_t kHeaderSize = 20;

  [[nodiscard]] static std::expected<TcpView, ParseError> parse(ByteView ip_payload) {
    if (ip_payload.size() < kHeaderSize) return std::unexpected(ParseError::kTruncated);
    const std::size_t header_length = (ip_payload[12] >> 4) * std::size_t{4};
    if (header_length < kHeaderSize) return std::unexpected(ParseError::kBadLength);
    if (header_length > ip_payload.size()) return std::unexpected(ParseError::kTruncated);
    return TcpView(ip_payload, header_length);
  }

  [[nodiscard]] Port source_port() const { return Port{be16<0>(header())}; }
  [[nodiscard]] Port destination_port() const { return Port{be16<2>(header())}; }
  [[nodiscard]] SeqNum sequence() const { return SeqNum{be32<4>(header())}; }
  [[nodiscard]] SeqNum acknowledgment() const { return SeqNum{be32<8>(header())}; }
  [[nodiscard]] TcpFlags flags() const { return TcpFlags{header()[13]}; }
  [[nodiscard]] std::uint16_t window() const { return be16<14>(header()); }  // not scaled
  [[nodiscard]] std::uint16_t checksum() const { return be16<16>(header()); }
  [[nodiscard]] std::uint16_t urgent() const { return be16<18>(header()); }
  [[nodiscard]] std::size_t header_length() const { return header_length_; }
  [[nodiscard]] ByteView options() const {
    return segment_.subspan(kHeaderSize, header_length_ - kHeaderSize);
  }
  [[nodiscard]] ByteView payload() const { return segment_.subspan(header_length_); }
  // Only for frames whose checksum is complete: one that leaves it to an offload fails here.
  [[nodiscard]] bool checksum_ok(const IpAddress& source, const IpAddress& destination) const {
    const std::uint32_t pseudo = pseudo_header_sum(source, destination, IpProtocol::kTcp,
                                                   static_cast<std::uint32_t>(segment_.size()));
    return checksum_finish(checksum_add(pseudo, segment_)) == 0;
  }

 private:
  TcpView(ByteView segment, std::size_t header_length)
      : segment_(segment), header_length_(header_length) {}
  [[nodiscard]] FixedView<kHeaderSize> header() const { return segment_.first<kHeaderSize>(); }

  ByteView segment_;
  std::size_t header_length_;
};

inline constexpr std::size_t kTcpChecksumOffset = 16;
inline constexpr std::size_t kTcpHeaderSizeMax = TcpView::kHeaderSize + kTcpOptionsSizeMax;

struct TcpRepr {
  Port source_port{};
  Port destination_port{};
  SeqNum sequence{};
  SeqNum acknowledgment{};
  TcpFlags flags{};
  std::uint16_t window = 0;    // not scaled
  std::uint16_t checksum = 0;  // written as it is
  std::uint16_t urgent = 0;
  TcpOptions options{};

  friend bool operator==(const TcpRepr&, const TcpRepr&) = default;

  [[nodiscard]] std::size_t header_length() const {
    return TcpView::kHeaderSize + tcp_options_length(options);
  }

  // `header` has room for header_length().
  void emit(MutableBytes header) const {
    const std::size_t length = header_length();
    const FixedBytes<TcpView::kHeaderSize> fixed = header.first<TcpView::kHeaderSize>();
    put16<0>(fixed, source_port.value);
    put16<2>(fixed, destination_port.value);
    put32<4>(fixed, sequence.value);
    put32<8>(fixed, acknowledgment.value);
    put8<12>(fixed, static_cast<std::uint8_t>(length / 4 << 4));
    put8<13>(fixed, flags.bits);
    put16<14>(fixed, window);
    put16<16>(fixed, checksum);
    put16<18>(fixed, urgent);
    emit_tcp_options(options, header.subspan(TcpView::kHeaderSize));
  }
};

// `header` is a TCP header; the other bytes stay.
inline void set_tcp_checksum(MutableBytes header, std::uint16_t checksum) {
  put16<kTcpChecksumOffset>(header.first<TcpView::kHeaderSize>(), checksum);
}

// What the field holds when the rest of the sum is left to the receiver of a virtio-net frame with
// kNeedsCsum: the folded pseudo-header sum, not inverted. `segment_length` is header and payload.
[[nodiscard]] constexpr std::uint16_t tcp_partial_checksum(const IpAddress& source,
                                                           const IpAddress& destination,
                                                           std::size_t segment_length) {
  return checksum_fold(pseudo_header_sum(source, destination, IpProtocol::kTcp,
                                         static_cast<std::uint32_t>(segment_length)));
}

// The complete checksum of a segment whose header was emitted with checksum 0.
[[nodiscard]] inline std::uint16_t tcp_checksum(const IpAddress& source,
                                                const IpAddress& destination, ByteView header,
                                                ByteView payload) {
  const std::uint32_t pseudo =
      pseudo_header_sum(source, destination, IpProtocol::kTcp,
                        static_cast<std::uint32_t>(header.size() + payload.size()));
  return checksum_finish(checksum_add(checksum_add(pseudo, header), payload));
}

}  // namespace sluice::wire
