// One end of an established TCP connection at a moment when nothing that it sent is unacknowledged:
// all that another TCP needs to go on with it.
#pragma once

#include <cstdint>

#include "wire/address.h"
#include "wire/seq_num.h"

namespace sluice::wire {

struct TcpSnapshot {
  Endpoint local;
  Endpoint peer;
  SeqNum send_next;                  // SND.NXT, and SND.UNA.
  SeqNum receive_next;               // RCV.NXT
  std::uint32_t send_window = 0;     // Bytes that the peer offers beyond send_next.
  std::uint32_t receive_window = 0;  // Bytes that are offered to the peer beyond receive_next.
  std::uint16_t segment_size = 536;  // The peer's MSS.
  bool scaled = false;               // Both sides scale their windows (RFC 7323, 2).
  std::uint8_t send_scale = 0;       // Of the windows that the peer announces.
  std::uint8_t receive_scale = 0;    // Of those that are announced to it.
  bool sack = false;                 // Both sides may send SACK (RFC 2018).
  friend bool operator==(const TcpSnapshot&, const TcpSnapshot&) = default;
};

}  // namespace sluice::wire
