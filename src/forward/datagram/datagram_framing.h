// Framing::kLength16: datagrams in a stream, each behind its length.
//
//    0                   1
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |            length             |  big-endian, of what follows; as DNS over TCP has it
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+  (RFC 1035, 4.2.2)
//   |  `length` bytes: a datagram
//
// A length of zero is an empty datagram. Every length is valid here; what a socket cannot send
// (above 65,507 bytes over IPv4) is its refusal. Sans-IO.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace sluice::forward {

inline constexpr std::size_t kFrameHeader = 2;
// The most that one datagram over IPv4 carries: 65,535 - 20 - 8.
inline constexpr std::size_t kDatagramMax = 65'507;

// `size` below 65,536.
[[nodiscard]] constexpr std::array<std::uint8_t, kFrameHeader> frame_header(std::size_t size) {
  std::array<std::uint8_t, kFrameHeader> header{};
  put16<0>(FixedBytes<kFrameHeader>(header), static_cast<std::uint16_t>(size));
  return header;
}

// Finds the frames in a stream that comes in pieces. Copies only a frame that came in several;
// holds memory only inside such a frame, and for one that was completed until settle().
class FrameReader {
 public:
  // Takes one piece. Ask next() until it says no, then settle(), before the next piece: frames
  // borrow the piece and the reader.
  void feed(ByteView bytes) { rest_ = bytes; }
  // False: no further frame is whole.
  [[nodiscard]] bool next(ByteView& frame);
  // Frees what the frames handed out have borrowed.
  void settle() { whole_ = {}; }

  // The stream would be cut if it ended here.
  [[nodiscard]] bool inside_frame() const { return !partial_.empty(); }

 private:
  [[nodiscard]] bool complete(ByteView& frame);

  ByteView rest_;                      // Of the piece.
  std::vector<std::uint8_t> partial_;  // The beginning of a frame, its length first.
  std::vector<std::uint8_t> whole_;    // A frame that came in several pieces.
};

}  // namespace sluice::forward
