// Ethernet frames on their way over a link, with what a virtio-net header says of each: those that
// came, and batches of those that go out. Headers lie in the batch's arena; payloads are borrowed,
// and whoever fills a batch writes it out before they are used again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "wire/link/virtio_net.h"

namespace sluice::wire {

// What the other side of a link does for us.
struct LinkFeatures {
  bool checksum = false;  // The link completes checksums.
  bool tso = false;       // The link takes TCP super-frames.
  bool uso = false;       // The link takes batches of UDP datagrams.

  friend constexpr bool operator==(const LinkFeatures&, const LinkFeatures&) = default;
};

// Its bytes stay as they are until they are used again. Of some frames of TCP data only the head is
// here, and the rest is still the guest's own memory: it may be handed to the kernel or be copied,
// and nothing may depend on it, since the guest can change it at any time.
struct FrameIn {
  ByteView bytes;  // From the Ethernet header on.
  VirtioNetHeader offload;
  std::span<const ByteView> rest{};  // What follows `bytes`, where it was not copied.
  MutableBytes room{};               // Ours: where `bytes` lies, and as long as the whole frame.

  [[nodiscard]] std::size_t size() const { return rest.empty() ? bytes.size() : room.size(); }
  // In one piece. Copies the rest where there is one.
  [[nodiscard]] ByteView whole() const {
    if (rest.empty()) return bytes;
    auto at = room.begin() + static_cast<std::ptrdiff_t>(bytes.size());
    for (const ByteView piece : rest) at = std::ranges::copy(piece, at).out;
    return room;
  }
};

// Its headers are header() of the batch; the payload follows them.
struct FrameOut {
  std::uint32_t header_begin = 0;
  std::uint32_t header_length = 0;
  ByteView payload;
  VirtioNetHeader offload;
};

class FrameBatch {
 public:
  FrameBatch() {
    frames_.reserve(kFramesReserve);
    arena_.reserve(kArenaReserve);
  }

  // Room for a frame's headers, or for a whole small frame. The span is valid until the next call.
  [[nodiscard]] MutableBytes add(std::size_t header_length, ByteView payload,
                                 const VirtioNetHeader& offload) {
    const std::size_t begin = arena_.size();
    arena_.resize(begin + header_length);
    frames_.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(header_length),
                       payload, offload});
    return MutableBytes(arena_).subspan(begin, header_length);
  }
  // Gives back the end of the newest frame's room; all of it takes the frame out.
  void shrink(std::size_t header_length) {
    FrameOut& frame = frames_.back();
    frame.header_length = static_cast<std::uint32_t>(header_length);
    arena_.resize(frame.header_begin + header_length);
    if (header_length == 0) frames_.pop_back();
  }
  void clear() {
    frames_.clear();
    arena_.clear();
  }

  [[nodiscard]] bool empty() const { return frames_.empty(); }
  [[nodiscard]] std::size_t size() const { return frames_.size(); }
  [[nodiscard]] auto begin() const { return frames_.begin(); }
  [[nodiscard]] auto end() const { return frames_.end(); }
  [[nodiscard]] ByteView header(const FrameOut& frame) const {
    return ByteView(arena_).subspan(frame.header_begin, frame.header_length);
  }

 private:
  static constexpr std::size_t kFramesReserve = 256;
  static constexpr std::size_t kArenaReserve = 64 * 1024;

  std::vector<FrameOut> frames_;
  std::vector<std::uint8_t> arena_;
};

}  // namespace sluice::wire
