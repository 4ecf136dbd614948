#include "host/datagram_batch.h"

namespace sluice::host {
namespace {

// Segments must fit the path's MTU, which for most is Ethernet's less the headers of IPv6. Larger
// datagrams go out alone, and the kernel fragments them.
constexpr std::size_t kSegmentMax = 1452;

}  // namespace

[[gnu::noinline]] bool DatagramBatch::begin_send(ByteView payload, std::uint16_t segment_size) {
  if (sends_used_ == kSendsMax) return false;
  const bool open = segment_size == 0 && !payload.empty() && payload.size() <= kSegmentMax;
  outgoing_[sends_used_] = route_;
  sends_[sends_used_++] = {
      .bytes = static_cast<std::uint32_t>(payload.size()),
      .first_part = static_cast<std::uint16_t>(parts_used_),
      .parts = 1,
      .segment_size = open ? static_cast<std::uint16_t>(payload.size()) : segment_size,
      .open = open};
  return true;
}

void DatagramBatch::prepare() {
  for (std::size_t i = 0; i < sends_used_; ++i) {
    const Send& send = sends_[i];
    outgoing_[i].payload = std::span(parts_).subspan(send.first_part, send.parts);
    // One alone needs no segmentation.
    outgoing_[i].segment_size =
        send.bytes > send.segment_size ? send.segment_size : std::uint16_t{};
  }
}

void DatagramBatch::drop(std::size_t send, BatchResult& result) const {
  result.dropped += datagrams_in(sends_[send].bytes, outgoing_[send].segment_size);
}

BatchResult DatagramBatch::flush(UdpSocket& socket) {
  prepare();
  refusals_.clear();
  BatchResult result;
  std::size_t at = 0;
  while (at < sends_used_) {
    const auto sent = socket.send(scratch_, std::span(outgoing_).subspan(at, sends_used_ - at));
    if (!sent) {
      refusals_.push_back({outgoing_[at].target, sent.error().error});
      drop(at++, result);
    } else if (*sent == 0) {
      while (at < sends_used_) drop(at++, result);
    } else {
      for (const std::size_t end = at + *sent; at < end; ++at) result.bytes += sends_[at].bytes;
    }
  }
  clear();
  result.refusals = refusals_;
  return result;
}

}  // namespace sluice::host
