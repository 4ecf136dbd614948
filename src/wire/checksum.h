// The Internet checksum (RFC 1071), pseudo-headers (RFC 9293, 3.1; RFC 8200, 8.1) and incremental
// update (RFC 1624).
//
// A running sum is a plain uint32_t: the ones' complement sum of big-endian 16-bit words, not yet
// folded. Each checksum_add() adds at most 0xffff to it, so thousands of pieces fit. A piece that
// is not the last must have an even length.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/ip_protocol.h"

namespace sluice::wire {

[[nodiscard]] std::uint32_t checksum_add(std::uint32_t sum, ByteView bytes);

// The sum in 16 bits, not inverted. A pseudo-header's fold is what a checksum field holds when the
// rest is left to an offload.
[[nodiscard]] constexpr std::uint16_t checksum_fold(std::uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

// The value of a checksum field over what was summed. Over bytes that contain a correct checksum
// the result is zero.
[[nodiscard]] constexpr std::uint16_t checksum_finish(std::uint32_t sum) {
  return static_cast<std::uint16_t>(~checksum_fold(sum));
}

// For UDP, where zero on the wire means "no checksum" (RFC 768).
[[nodiscard]] constexpr std::uint16_t checksum_finish_udp(std::uint32_t sum) {
  const std::uint16_t value = checksum_finish(sum);
  return value == 0 ? std::uint16_t{0xffff} : value;
}

// `length` is that of the upper-layer header and payload. Both families in one: an IPv4-mapped
// address differs from the bare IPv4 address by the word 0xffff, which is zero in this arithmetic.
[[nodiscard]] constexpr std::uint32_t pseudo_header_sum(const IpAddress& source,
                                                        const IpAddress& destination,
                                                        IpProtocol protocol, std::uint32_t length) {
  std::uint32_t sum = static_cast<std::uint32_t>(protocol) + (length & 0xffff) + (length >> 16);
  const FixedView<16> from = source.octets();
  const FixedView<16> to = destination.octets();
  for (std::size_t i = 0; i < 16; i += 2) {
    sum += (std::uint32_t{from[i]} << 8) | from[i + 1];
    sum += (std::uint32_t{to[i]} << 8) | to[i + 1];
  }
  return sum;
}

// The checksum field after a 16-bit word that it covers changed (RFC 1624, equation 3).
[[nodiscard]] constexpr std::uint16_t checksum_update16(std::uint16_t checksum,
                                                        std::uint16_t old_word,
                                                        std::uint16_t new_word) {
  return checksum_finish((~std::uint32_t{checksum} & 0xffff) + (~std::uint32_t{old_word} & 0xffff) +
                         new_word);
}

[[nodiscard]] constexpr std::uint16_t checksum_update32(std::uint16_t checksum,
                                                        std::uint32_t old_value,
                                                        std::uint32_t new_value) {
  const std::uint16_t high =
      checksum_update16(checksum, static_cast<std::uint16_t>(old_value >> 16),
                        static_cast<std::uint16_t>(new_value >> 16));
  return checksum_update16(high, static_cast<std::uint16_t>(old_value),
                           static_cast<std::uint16_t>(new_value));
}

}  // namespace sluice::wire
