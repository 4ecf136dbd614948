// Ethernet II framing (IEEE 802.3). No 802.1Q: a tagged frame shows as an unknown EtherType.
//
//   0       6        12       14
//   +-------+--------+--------+----------
//   | dest. | source | type   | payload …
//   +-------+--------+--------+----------
#pragma once

#include <algorithm>
#include <cstdint>
#include <expected>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/parse_error.h"

namespace sluice::wire {

enum class EtherType : std::uint16_t { kIpv4 = 0x0800, kArp = 0x0806, kIpv6 = 0x86dd };

[[nodiscard]] inline MacAddress load_mac(FixedView<6> octets) {
  MacAddress mac;
  std::copy(octets.begin(), octets.end(), mac.octets.begin());
  return mac;
}

// Borrows the frame and must not outlive it.
class EthernetView {
 public:
  static constexpr std::size_t kHeaderSize = 14;

  [[nodiscard]] static std::expected<EthernetView, ParseError> parse(ByteView frame) {
    if (frame.size() < kHeaderSize) return std::unexpected(ParseError::kTruncated);
    return EthernetView(frame);
  }
  [[nodiscard]] MacAddress destination() const { return load_mac(header().subspan<0, 6>()); }
  [[nodiscard]] MacAddress source() const { return load_mac(header().subspan<6, 6>()); }
  [[nodiscard]] EtherType ether_type() const { return EtherType{be16<12>(header())}; }
  [[nodiscard]] ByteView payload() const { return frame_.subspan(kHeaderSize); }

 private:
  explicit EthernetView(ByteView frame) : frame_(frame) {}
  [[nodiscard]] FixedView<kHeaderSize> header() const { return frame_.first<kHeaderSize>(); }

  ByteView frame_;
};

inline constexpr std::size_t kEthernetHeaderSize = EthernetView::kHeaderSize;

inline void emit_ethernet(FixedBytes<kEthernetHeaderSize> header, const MacAddress& destination,
                          const MacAddress& source, EtherType type) {
  std::copy(destination.octets.begin(), destination.octets.end(), header.begin());
  std::copy(source.octets.begin(), source.octets.end(), header.begin() + 6);
  put16<12>(header, static_cast<std::uint16_t>(type));
}

}  // namespace sluice::wire
