#include "driver/io/link_io.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "telemetry/log.h"
#include "trace/probe.h"

namespace sluice::driver {
namespace {

[[nodiscard]] iovec part_of(ByteView bytes) {
  // writev(2) only reads through it.
  return {.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
}

}  // namespace

LinkIo::LinkIo(sys::Kernel& kernel, UniqueFd tap, const link::TapFeatures& features,
               std::optional<link::PcapTee> tee)
    : kernel_(&kernel),
      tap_(std::move(tap)),
      header_size_(features.vnet_header_size),
      buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kBurstBytes + kFrameMax)),
      tee_(std::move(tee)) {
  frames_.reserve(kBurstFrames);
}

[[gnu::noinline]] LinkIo::Burst LinkIo::read_burst(Depth depth) {
  frames_.clear();
  const bool only_one = depth == Depth::kAsExpected && guess_.expects_one();
  std::size_t at = 0;
  while (frames_.size() < kBurstFrames && at < kBurstBytes) {
    if (only_one && !frames_.empty()) return {frames_, true, false};
    const ssize_t length = kernel_->read(tap_.get(), buffer_.get() + at, kFrameMax);
    if (length < 0) {
      const bool gone = errno == EBADFD;
      guess_.found(frames_.size());
      return {frames_, true, gone};
    }
    const ByteView read(buffer_.get() + at, static_cast<std::size_t>(length));
    if (read.size() < header_size_) continue;
    FrameIn frame{read.subspan(header_size_), {}};
    if (header_size_ == wire::VirtioNetHeader::kSize) {
      frame.offload = wire::VirtioNetHeader::parse(read.first<wire::VirtioNetHeader::kSize>());
    }
    frames_.push_back(frame);
    if (tee_) [[unlikely]]
      capture(frame.bytes, {});
    // The next frame begins on a cache line of its own.
    at += (read.size() + 63) & ~std::size_t{63};
  }
  guess_.found(frames_.size());
  return {frames_, false, false};
}

bool LinkIo::write(const std::array<iovec, 3>& parts) {
  const std::size_t size = parts[0].iov_len + parts[1].iov_len + parts[2].iov_len;
  if (size > kCopiedMax) {
    const std::size_t first = parts[0].iov_len == 0 ? 1 : 0;
    const std::size_t count = parts.size() - first - (parts[2].iov_len == 0 ? 1 : 0);
    return kernel_->writev(tap_.get(), parts.data() + first, static_cast<int>(count)) >= 0;
  }
  std::array<std::uint8_t, kCopiedMax> frame;
  std::uint8_t* at = frame.data();
  for (const iovec& part : parts) {
    if (part.iov_len > 0) std::memcpy(at, part.iov_base, part.iov_len);
    at += part.iov_len;
  }
  return kernel_->write(tap_.get(), frame.data(), size) >= 0;
}

[[gnu::noinline]] void LinkIo::write_frames(flow::ActionSink& sink, flow::DropCounters& drops) {
  if (sink.frames().empty()) return;
  for (const wire::FrameOut& frame : sink.frames()) {
    std::array<std::uint8_t, wire::VirtioNetHeader::kSize> offload;
    frame.offload.emit(offload);
    const ByteView header = sink.frames().header(frame);
    const std::array<iovec, 3> parts{part_of(ByteView(offload).first(header_size_)),
                                     part_of(header), part_of(frame.payload)};
    if (tee_) [[unlikely]]
      capture(header, frame.payload);
    if (!write(parts)) drops.count(flow::DropReason::kLinkWriteFailed);
  }
  SLUICE_PROBE(frames_flushed, trace::kNoTraceFlow, sink.frames().size(), 0);
  sink.frames().clear();
}

[[gnu::cold]] void LinkIo::capture(ByteView header, ByteView payload) {
  const iovec part = part_of(payload);
  tee_->frame(std::chrono::system_clock::now(), header,
              payload.empty() ? std::span<const iovec>() : std::span<const iovec>(&part, 1));
  if (const auto error = tee_->take_error()) {
    telemetry::log_warn("--pcap: writing failed, the capture ends here: {}", error->message());
  }
}

void LinkIo::flush_capture() {
  if (tee_) tee_->flush();
}

}  // namespace sluice::driver
