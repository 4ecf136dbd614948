// Splits a datagram for the guest into frames that fit its MTU (RFC 791, 3.2; RFC 8200, 4.5), such
// as a UDP reply of up to 65,507 bytes. It gathers from the caller's bytes and allocates nothing.
//
//   Fragmenter fragments(datagram, mtu);
//   while (const std::size_t length = fragments.next(buffer)) send(buffer.first(length));
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/ip_protocol.h"
#include "wire/link/ethernet.h"

namespace sluice::flow {

// The upper layer in two parts, so that a header can stand before a payload that lies elsewhere.
struct OutgoingDatagram {
  wire::MacAddress guest_mac{};
  wire::MacAddress gateway_mac{};
  wire::IpAddress source{};
  wire::IpAddress destination{};
  wire::IpProtocol protocol{};
  std::uint8_t hop_limit = 64;
  std::uint8_t traffic_class = 0;
  std::uint32_t identification = 0;  // Unlike that of recent datagrams between these addresses.
  ByteView header{};                 // Its checksum covers the whole datagram.
  ByteView payload{};
};

class Fragmenter {
 public:
  // RFC 791, 3.2: every module forwards 68 bytes. A smaller MTU counts as this.
  static constexpr std::size_t kMtuMin = 68;

  // Borrows the datagram's bytes. `mtu` counts the IP packet. A datagram that fits goes out as one
  // ordinary packet; one too large for IP yields no frame at all.
  Fragmenter(const OutgoingDatagram& datagram, std::size_t mtu);

  // Writes the next Ethernet frame and returns its length; zero when all are out, or when `out`
  // cannot hold the frame.
  [[nodiscard]] std::size_t next(MutableBytes out);

  [[nodiscard]] bool done() const { return offset_ == total_; }
  // The longest frame that next() will write.
  [[nodiscard]] std::size_t frame_size_max() const;

 private:
  [[nodiscard]] std::size_t ip_header_size() const;
  void emit_headers(MutableBytes out, std::size_t length, bool more) const;
  void gather(MutableBytes out) const;

  OutgoingDatagram datagram_;
  std::size_t total_;       // Bytes of the upper layer; zero if there is nothing to send.
  std::size_t chunk_size_;  // Of the upper layer in each fragment but the last.
  std::size_t offset_ = 0;
};

}  // namespace sluice::flow
