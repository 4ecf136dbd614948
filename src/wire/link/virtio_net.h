// The virtio-net header (virtio 1.2, 5.1.6), which the tap driver uses as well (IFF_VNET_HDR).
//
//   0       1          2         4          6            8             10
//   +-------+----------+---------+----------+------------+-------------+-------------+
//   | flags | gso_type | hdr_len | gso_size | csum_start | csum_offset | num_buffers |
//   +-------+----------+---------+----------+------------+-------------+-------------+
//
// num_buffers is present in the 12-byte form only. Fields are little-endian, as virtio 1 has it; a
// tap on a big-endian machine must be told so with TUNSETVNETLE.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace sluice::wire {

struct VirtioNetHeader {
  static constexpr std::size_t kSizeLegacy = 10;
  static constexpr std::size_t kSize = 12;

  // flags
  static constexpr std::uint8_t kNeedsCsum = 1;
  static constexpr std::uint8_t kDataValid = 2;
  // gso_type
  static constexpr std::uint8_t kGsoNone = 0;
  static constexpr std::uint8_t kGsoTcpV4 = 1;
  static constexpr std::uint8_t kGsoUdp = 3;
  static constexpr std::uint8_t kGsoTcpV6 = 4;
  static constexpr std::uint8_t kGsoUdpL4 = 5;
  static constexpr std::uint8_t kGsoEcn = 0x80;

  std::uint8_t flags = 0;
  std::uint8_t gso_type = kGsoNone;
  std::uint16_t hdr_len = 0;      // of all headers, Ethernet included; a hint
  std::uint16_t gso_size = 0;     // payload bytes of each segment
  std::uint16_t csum_start = 0;   // from the start of the Ethernet header
  std::uint16_t csum_offset = 0;  // from csum_start
  std::uint16_t num_buffers = 0;

  [[nodiscard]] constexpr bool needs_checksum() const { return (flags & kNeedsCsum) != 0; }
  // Whoever sent it vouches for its bytes: nobody has to look at them for that.
  [[nodiscard]] constexpr bool vouches() const { return (flags & (kNeedsCsum | kDataValid)) != 0; }
  [[nodiscard]] constexpr std::uint8_t gso_kind() const {
    return static_cast<std::uint8_t>(gso_type & ~unsigned{kGsoEcn});
  }

  friend constexpr bool operator==(const VirtioNetHeader&, const VirtioNetHeader&) = default;

  [[nodiscard]] static constexpr VirtioNetHeader parse_legacy(FixedView<kSizeLegacy> bytes) {
    return {.flags = bytes[0],
            .gso_type = bytes[1],
            .hdr_len = le16<2>(bytes),
            .gso_size = le16<4>(bytes),
            .csum_start = le16<6>(bytes),
            .csum_offset = le16<8>(bytes),
            .num_buffers = 0};
  }
  [[nodiscard]] static constexpr VirtioNetHeader parse(FixedView<kSize> bytes) {
    VirtioNetHeader header = parse_legacy(bytes.first<kSizeLegacy>());
    header.num_buffers = le16<10>(bytes);
    return header;
  }
  constexpr void emit_legacy(FixedBytes<kSizeLegacy> bytes) const {
    bytes[0] = flags;
    bytes[1] = gso_type;
    put_le16<2>(bytes, hdr_len);
    put_le16<4>(bytes, gso_size);
    put_le16<6>(bytes, csum_start);
    put_le16<8>(bytes, csum_offset);
  }
  constexpr void emit(FixedBytes<kSize> bytes) const {
    emit_legacy(bytes.first<kSizeLegacy>());
    put_le16<10>(bytes, num_buffers);
  }

 private:
  template <std::size_t Offset, std::size_t N>
    requires InsideHeader<Offset, 2, N>
  [[nodiscard]] static constexpr std::uint16_t le16(FixedView<N> bytes) {
    return static_cast<std::uint16_t>(bytes[Offset] | (std::uint32_t{bytes[Offset + 1]} << 8));
  }
  template <std::size_t Offset, std::size_t N>
    requires InsideHeader<Offset, 2, N>
  static constexpr void put_le16(FixedBytes<N> bytes, std::uint16_t value) {
    bytes[Offset] = static_cast<std::uint8_t>(value);
    bytes[Offset + 1] = static_cast<std::uint8_t>(value >> 8);
  }
};

}  // namespace sluice::wire
