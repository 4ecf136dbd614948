#include "link/pcap_tee.h"

#include <sys/uio.h>

#include <chrono>
#include <utility>

namespace sluice::link {

Capture::Capture(PcapFile file, OnError on_error)
    : file_(std::move(file)), on_error_(std::move(on_error)) {}

void Capture::add(std::span<const wire::FrameIn> frames) {
  const std::lock_guard guard(lock_);
  const auto time = std::chrono::system_clock::now();
  for (const wire::FrameIn& frame : frames) file_.frame(time, frame.whole(), {});
  tell_error();
}

void Capture::add(const wire::FrameBatch& batch) {
  const std::lock_guard guard(lock_);
  const auto time = std::chrono::system_clock::now();
  for (const wire::FrameOut& frame : batch) {
    const iovec payload{.iov_base = const_cast<std::uint8_t*>(frame.payload.data()),
                        .iov_len = frame.payload.size()};
    file_.frame(time, batch.header(frame), {&payload, frame.payload.empty() ? 0U : 1U});
  }
  tell_error();
}

void Capture::flush() {
  const std::lock_guard guard(lock_);
  file_.flush();
  tell_error();
}

void Capture::tell_error() {
  if (const auto error = file_.take_error()) [[unlikely]]
    on_error_(*error);
}

Link::Burst PcapTee::read_burst(Depth depth) {
  const Burst burst = inner_->read_burst(depth);
  capture_.add(burst.frames);
  return burst;
}

std::size_t PcapTee::write(const wire::FrameBatch& batch) {
  capture_.add(batch);
  return inner_->write(batch);
}

void PcapTee::flush() {
  capture_.flush();
  inner_->flush();
}

}  // namespace sluice::link
