// Frames between the tap and the engine: bursts in, gathered writes out, and the capture of both.
// Owns the buffers of a burst; not thread-safe.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "driver/io/burst_guess.h"
#include "flow/core/action.h"
#include "flow/core/drop_reason.h"
#include "link/pcap_tee.h"
#include "link/tap.h"
#include "sys/kernel.h"
#include "wire/link/virtio_net.h"

namespace sluice::driver {

struct FrameIn {
  ByteView bytes;  // From the Ethernet header on.
  wire::VirtioNetHeader offload;
};

class LinkIo {
 public:
  LinkIo(sys::Kernel& kernel, UniqueFd tap, const link::TapFeatures& features,
         std::optional<link::PcapTee> tee);

  [[nodiscard]] int fd() const { return tap_.get(); }

  // Reads what is there, up to a burst. The frames stay valid until the next call. `drained` says
  // that the tap has no more, as far as is known.
  struct Burst {
    std::span<const FrameIn> frames;
    bool drained = true;
    bool gone = false;  // The device was deleted: the guest may do that to its own.
  };
  enum class Depth : std::uint8_t {
    kAsExpected,  // By BurstGuess.
    kToTheEnd,    // Whatever came before: there is somebody who must not overtake it.
  };
  [[nodiscard]] Burst read_burst(Depth depth);
  // Writes the sink's frames and clears them.
  void write_frames(flow::ActionSink& sink, flow::DropCounters& drops);
  void flush_capture();

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
  [[nodiscard]] bool write(const std::array<iovec, 3>& parts);
  void capture(ByteView header, ByteView payload);

  sys::Kernel* kernel_;  // Not owned.
  UniqueFd tap_;
  std::size_t header_size_;  // Of the virtio-net header: 0 or 12.
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::vector<FrameIn> frames_;
  BurstGuess guess_;
  std::optional<link::PcapTee> tee_;
};

}  // namespace sluice::driver
