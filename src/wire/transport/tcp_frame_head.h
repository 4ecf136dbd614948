// The head of a frame whose other bytes are not here yet: what has to be known of a segment of TCP
// data before its bytes are handed on. All lengths are checked against the whole frame.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/transport/tcp.h"

namespace sluice::wire {

// Borrows the head and must not outlive it.
struct TcpFrameHead {
  MacAddress sender;
  std::uint8_t hop_limit = 0;
  IpAddress source;
  IpAddress destination;
  ByteView tcp;                    // From the TCP header on.
  TcpView segment;                 // The same; its payload is what the head has of it.
  std::uint32_t payload_size = 0;  // Of the whole segment.

  // Of a frame of `length` bytes, Ethernet header included. Nothing where it is anything but plain
  // data of a connection: another protocol, a fragment, an extension header of IPv6, a SYN or a
  // RST, no ACK, no byte of payload in the head, padding of the link, or a mistake of any kind.
  // What such a frame means is seen once it is whole.
  [[nodiscard]] static std::optional<TcpFrameHead> parse(ByteView head, std::size_t length);
};

}  // namespace sluice::wire
