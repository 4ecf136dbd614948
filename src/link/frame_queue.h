// Frames that wait for a socket to take them, in the form that a stream has: each with its length
// before it, 32 bits, big-endian. Bounded; keeps what memory it had, up to what an ordinary burst
// needs. Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace sluice::link {

class FrameQueue {
 public:
  static constexpr std::size_t kLengthSize = 4;

  explicit FrameQueue(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  [[nodiscard]] bool empty() const { return begin_ == bytes_.size(); }
  [[nodiscard]] std::size_t size() const { return bytes_.size() - begin_; }

  // A frame in two parts. Without its first `sent` bytes, length included, which the other side has
  // already: then it is kept whatever the bound, as nothing else may follow them. False: no room.
  [[nodiscard]] bool push(ByteView header, ByteView payload, std::size_t sent = 0);

  // All that waits, from the first byte that has not gone.
  [[nodiscard]] ByteView bytes() const { return ByteView(bytes_).subspan(begin_); }
  // The frame whose length stands at `offset` of bytes(), where no part of it was taken.
  [[nodiscard]] ByteView frame_at(std::size_t offset) const;
  void pop(std::size_t size);
  void clear();

 private:
  static constexpr std::size_t kKept = 512 * 1024;

  std::size_t bytes_max_;
  std::vector<std::uint8_t> bytes_;
  std::size_t begin_ = 0;
};

}  // namespace sluice::link
