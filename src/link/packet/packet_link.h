// Packet sockets with receive rings as a link: frames are read where the kernel put them, without a
// system call, and written many in one. Owns the sockets of one queue and their rings; not
// thread-safe.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <vector>

#include "base/unique_fd.h"
#include "link/link.h"
#include "link/packet/packet_ring.h"
#include "sys/kernel.h"
#include "sys/setup_error.h"

namespace sluice::link {

class PacketLink final : public Link {
 public:
  // One of its two sockets, with its ring.
  struct Source {
    UniqueFd fd;
    PacketRing ring;
  };
  struct Sources {
    Source for_short;
    Source for_long;
  };

  // A queue's two sockets (packet_socket.h), that of short frames first, with rings of such a
  // shape. The kernel is not owned.
  [[nodiscard]] static std::expected<std::unique_ptr<PacketLink>, sys::SetupError> create(
      sys::Kernel& kernel, std::array<UniqueFd, 2> sockets, const QueueRings& rings,
      const wire::LinkFeatures& features);
  PacketLink(sys::Kernel& kernel, Sources sources, const wire::LinkFeatures& features);

  [[nodiscard]] wire::LinkFeatures features() const override { return features_; }
  [[nodiscard]] std::span<const int> descriptors() const override { return fds_; }
  // The guest may delete its interface, and ours goes with it: then the link is gone.
  [[nodiscard]] Burst read_burst(Depth depth) override;
  // Where the kernel takes no more, one frame waits for it, for a thousandth of a second or the
  // kernel's tick, and those behind it do not.
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch) override;
  // Nobody looks at a burst any more at the end of its turn.
  void flush() override;

 private:
  // As a tap's bursts (tap_link.h).
  static constexpr std::size_t kBurstBytes = 3 * 1024 * 1024;
  static constexpr std::size_t kBurstFrames = 128;
  static constexpr std::size_t kSendFrames = 64;
  static constexpr std::size_t kParts = 3;

  // The one whose next frame came first; null: neither has any.
  [[nodiscard]] PacketRing* next_ring();
  [[nodiscard]] bool has_lost_interface();
  // Those that are prepared. How many could not be sent.
  [[nodiscard]] std::size_t send(std::size_t count);

  sys::Kernel* kernel_;  // Not owned.
  Sources sources_;
  std::array<int, 2> fds_;  // As descriptors() shows them.
  wire::LinkFeatures features_;
  bool waits_ = true;  // Until a frame of this write() found no room.
  std::vector<wire::FrameIn> frames_;
  std::array<std::array<std::uint8_t, wire::VirtioNetHeader::kSizeLegacy>, kSendFrames> offloads_;
  std::array<std::array<iovec, kParts>, kSendFrames> parts_;
  std::array<mmsghdr, kSendFrames> messages_{};
};

}  // namespace sluice::link
