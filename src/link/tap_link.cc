#include "link/tap_link.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "wire/link/virtio_net.h"

namespace sluice::link {
namespace {

[[nodiscard]] iovec part_of(ByteView bytes) {
  // writev(2) only reads through it.
  return {.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
}

}  // namespace

TapLink::TapLink(sys::Kernel& kernel, UniqueFd queue, const TapFeatures& features)
    : kernel_(&kernel),
      tap_(std::move(queue)),
      fd_(tap_.get()),
      features_(features),
      buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kBurstBytes + kFrameMax)) {
  frames_.reserve(kBurstFrames);
}

wire::LinkFeatures TapLink::features() const {
  return {.checksum = features_.checksum,
          .tso = features_.tso4 && features_.tso6,
          .uso = features_.uso};
}

[[gnu::noinline]] Link::Burst TapLink::read_burst(Depth depth) {
  frames_.clear();
  const std::size_t header_size = features_.vnet_header_size;
  const bool only_one = depth == Depth::kAsExpected && guess_.expects_one();
  std::size_t at = 0;
  while (frames_.size() < kBurstFrames && at < kBurstBytes) {
    if (only_one && !frames_.empty()) return {frames_, true, false};
    const ssize_t length = kernel_->read(fd_, buffer_.get() + at, kFrameMax);
    if (length < 0) {
      const bool gone = errno == EBADFD;
      guess_.found(frames_.size());
      return {frames_, true, gone};
    }
    const ByteView read(buffer_.get() + at, static_cast<std::size_t>(length));
    if (read.size() < header_size) continue;
    wire::FrameIn frame{read.subspan(header_size), {}};
    if (header_size == wire::VirtioNetHeader::kSize) {
      frame.offload = wire::VirtioNetHeader::parse(read.first<wire::VirtioNetHeader::kSize>());
    }
    frames_.push_back(frame);
    // The next frame begins on a cache line of its own.
    at += (read.size() + 63) & ~std::size_t{63};
  }
  guess_.found(frames_.size());
  return {frames_, false, false};
}

bool TapLink::write_frame(const std::array<iovec, 3>& parts) {
  const std::size_t size = parts[0].iov_len + parts[1].iov_len + parts[2].iov_len;
  if (size > kCopiedMax) {
    const std::size_t first = parts[0].iov_len == 0 ? 1 : 0;
    const std::size_t count = parts.size() - first - (parts[2].iov_len == 0 ? 1 : 0);
    return kernel_->writev(fd_, parts.data() + first, static_cast<int>(count)) >= 0;
  }
  std::array<std::uint8_t, kCopiedMax> frame;
  std::uint8_t* at = frame.data();
  for (const iovec& part : parts) {
    if (part.iov_len > 0) std::memcpy(at, part.iov_base, part.iov_len);
    at += part.iov_len;
  }
  return kernel_->write(fd_, frame.data(), size) >= 0;
}

[[gnu::noinline]] std::size_t TapLink::write(const wire::FrameBatch& batch) {
  std::size_t lost = 0;
  for (const wire::FrameOut& frame : batch) {
    std::array<std::uint8_t, wire::VirtioNetHeader::kSize> offload;
    frame.offload.emit(offload);
    const ByteView before = ByteView(offload).first(features_.vnet_header_size);
    if (!write_frame({part_of(before), part_of(batch.header(frame)), part_of(frame.payload)})) {
      ++lost;
    }
  }
  return lost;
}

}  // namespace sluice::link
