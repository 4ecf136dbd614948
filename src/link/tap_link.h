// A tap device as a link: bursts in, one write for each frame out. Owns the descriptor and the
// buffer of a burst; not thread-safe.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/burst_guess.h"
#include "base/unique_fd.h"
#include "link/link.h"
#include "link/tap.h"
#include "sys/kernel.h"

namespace sluice::link {

class TapLink final : public Link {
 public:
  // One queue of the device. The kernel is not owned.
  TapLink(sys::Kernel& kernel, UniqueFd queue, const TapFeatures& features);

  [[nodiscard]] wire::LinkFeatures features() const override;
  [[nodiscard]] std::span<const int> descriptors() const override { return {&fd_, 1}; }
  // The guest may delete its interface: then the link is gone.
  [[nodiscard]] Burst read_burst(Depth depth) override;
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch) override;

 private:
  // Large enough that many frames of a flow go out in one send and are acknowledged at once, as
  // each send and each ACK makes a kernel work in our time; small enough that the hosts' events
  // wait for a millisecond at most. And room for the largest frame behind it.
  static constexpr std::size_t kBurstBytes = 3 * 1024 * 1024;
  static constexpr std::size_t kFrameMax = 80 * 1024;
  static constexpr std::size_t kBurstFrames = 128;
  // To put a small frame together costs less than the kernel's way through its parts.
  static constexpr std::size_t kCopiedMax = 512;

  // The virtio-net header, the headers, the payload.
  [[nodiscard]] bool write_frame(const std::array<iovec, 3>& parts);

  sys::Kernel* kernel_;  // Not owned.
  UniqueFd tap_;
  int fd_;  // The same, as descriptors() shows it.
  TapFeatures features_;
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::vector<wire::FrameIn> frames_;
  BurstGuess guess_;
};

}  // namespace sluice::link
