// The receive ring of a packet socket, version 2 (Documentation/networking/packet_mmap.rst), as
// whoever reads it sees it: slots that the kernel fills in turn, each with a frame, what a
// virtio-net header says of it, and when it came. The memory is the kernel's and ours, never the
// guest's. A frame's slot is ours until it is given back; not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "base/bytes.h"
#include "link/packet/packet_rings.h"
#include "sys/setup_error.h"
#include "wire/link/frame_batch.h"

namespace sluice::link {

class PacketRing {
 public:
  // Maps the ring of a socket that was set up so (packet_socket.h).
  [[nodiscard]] static std::expected<PacketRing, sys::SetupError> map(int fd,
                                                                      const RingShape& shape);
  // Over memory that is somebody else's, as long as the shape says.
  PacketRing(MutableBytes memory, const RingShape& shape);
  PacketRing(PacketRing&& other) noexcept;
  PacketRing& operator=(PacketRing&&) = delete;
  ~PacketRing();

  // When the next frame came, in nanoseconds of a clock that somebody may set; nothing where there
  // is none yet. What was filled before a frame that was seen by an earlier call is seen.
  [[nodiscard]] std::optional<std::uint64_t> next_at() const;
  // Takes the next frame, which next_at() has seen, for ours. Nothing where the kernel did not get
  // it whole, or where it makes no sense: then its slot is given back with the others.
  [[nodiscard]] std::optional<wire::FrameIn> take();
  // Gives all that was taken back to the kernel.
  void give_back();

 private:
  [[nodiscard]] MutableBytes slot(std::size_t number) const;

  MutableBytes memory_;
  RingShape shape_;
  bool mapped_ = false;
  std::size_t next_ = 0;   // The slot that the kernel fills next, as far as we took them.
  std::size_t taken_ = 0;  // So many before that one are ours.
};

}  // namespace sluice::link
