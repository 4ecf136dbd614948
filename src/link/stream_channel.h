// Frames in a stream, each with its length before it, 32 bits, big-endian: what QEMU's
// `-netdev stream` and `-netdev socket` speak, libkrun's unixstream, and so passt.
//
// A burst is one recvmsg(2), and its frames are used where they lie; only one that is not whole
// yet is moved to the front, to be completed by the next. A batch is one sendmsg(2). Not
// thread-safe.
#pragma once

#include <sys/uio.h>

#include <memory>

#include "link/frame_channel.h"
#include "sys/kernel.h"

namespace sluice::link {

class StreamChannel final : public FrameChannel {
 public:
  // The kernel is not owned.
  explicit StreamChannel(sys::Kernel& kernel);

  void attach(int fd) override;
  [[nodiscard]] Read read(std::vector<wire::FrameIn>& frames) override;
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch) override;
  bool flush() override;
  [[nodiscard]] std::size_t waiting() const override { return queue_.size(); }

 private:
  using Frames = std::vector<wire::FrameOut>::const_iterator;

  // As much as a tap's burst (tap_link.h), and for the same reasons.
  static constexpr std::size_t kBurstBytes = 3 * 1024 * 1024;
  static constexpr std::size_t kBufferSize = kBurstBytes + kFrameMax;
  static constexpr std::size_t kPartsMax = 1024;  // IOV_MAX of Linux.
  static constexpr std::size_t kScratchSize = 128 * 1024;
  // To put small parts together costs less than the kernel's way through them.
  static constexpr std::size_t kCopiedMax = 512;

  [[nodiscard]] Frames gather(const wire::FrameBatch& batch, Frames from);
  void add_part(ByteView bytes);
  void add_copy(ByteView bytes);
  [[nodiscard]] std::size_t keep(const wire::FrameBatch& batch, Frames from, std::size_t sent);

  sys::Kernel* kernel_;  // Not owned.
  int fd_ = -1;
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t begin_ = 0;  // What is not whole yet is [begin_, end_) of the buffer.
  std::size_t end_ = 0;
  // Of the batch that goes out: lengths and small parts.
  std::unique_ptr<std::uint8_t[]> scratch_;
  std::size_t scratch_used_ = 0;
  std::vector<iovec> parts_;
  std::size_t gathered_ = 0;  // In bytes.
  FrameQueue queue_{kQueueMax};
};

}  // namespace sluice::link
