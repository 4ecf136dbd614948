#include "link/pcap_tee.h"

#include <sys/uio.h>

#include <chrono>
#include <utility>

namespace sluice::link {

PcapTee::PcapTee(std::unique_ptr<Link> inner, PcapFile file, OnError on_error)
    : inner_(std::move(inner)), file_(std::move(file)), on_error_(std::move(on_error)) {}

Link::Burst PcapTee::read_burst(Depth depth) {
  const Burst burst = inner_->read_burst(depth);
  const auto time = std::chrono::system_clock::now();
  for (const wire::FrameIn& frame : burst.frames) file_.frame(time, frame.whole(), {});
  tell_error();
  return burst;
}

std::size_t PcapTee::write(const wire::FrameBatch& batch) {
  const auto time = std::chrono::system_clock::now();
  for (const wire::FrameOut& frame : batch) {
    const iovec payload{.iov_base = const_cast<std::uint8_t*>(frame.payload.data()),
                        .iov_len = frame.payload.size()};
    file_.frame(time, batch.header(frame), {&payload, frame.payload.empty() ? 0U : 1U});
  }
  tell_error();
  return inner_->write(batch);
}

void PcapTee::flush() {
  file_.flush();
  tell_error();
  inner_->flush();
}

void PcapTee::tell_error() {
  if (const auto error = file_.take_error()) [[unlikely]]
    on_error_(*error);
}

}  // namespace sluice::link
