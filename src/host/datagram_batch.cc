#include "host/datagram_batch.h"

namespace sluice::host {
namespace {

// What one UDP_SEGMENT send may carry.
constexpr std::size_t kSendBytesMax = 65'000;
// Segments must fit the path's MTU, which for most is Ethernet's less the headers of IPv6. Larger
// datagrams go out alone, and the kernel fragments them.
constexpr std::size_t kSegmentMax = 1452;

}  // namespace

bool DatagramBatch::extend(ByteView payload) {
  if (sends_used_ == 0) return false;
  Send& last = sends_[sends_used_ - 1];
  OutgoingDatagram& outgoing = outgoing_[sends_used_ - 1];
  if (!last.open || payload.empty() || payload.size() > outgoing.segment_size) return false;
  const std::size_t parts = outgoing.payload.size();
  if (parts >= kMaxGsoSegments || last.bytes + payload.size() > kSendBytesMax) return false;
  outgoing.payload = std::span(outgoing.payload.data(), parts + 1);
  last.bytes += payload.size();
  last.open = payload.size() == outgoing.segment_size;
  return true;
}

void DatagramBatch::begin_send(ByteView payload, std::uint16_t segment_size) {
  const bool open = segment_size == 0 && !payload.empty() && payload.size() <= kSegmentMax;
  OutgoingDatagram& outgoing = outgoing_[sends_used_];
  outgoing = route_;
  outgoing.payload = std::span(parts_).subspan(parts_used_, 1);
  outgoing.segment_size = open ? static_cast<std::uint16_t>(payload.size()) : segment_size;
  sends_[sends_used_++] = {.bytes = payload.size(), .open = open};
}

bool DatagramBatch::add(ByteView payload, std::uint16_t segment_size) {
  if (parts_used_ == kPartsMax) return false;
  if (segment_size != 0 || !extend(payload)) {
    if (sends_used_ == kSendsMax) return false;
    begin_send(payload, segment_size);
  }
  // The kernel does not write to what it sends.
  parts_[parts_used_++] = {.iov_base = const_cast<std::uint8_t*>(payload.data()),
                           .iov_len = payload.size()};
  return true;
}

void DatagramBatch::drop(std::size_t send, BatchResult& result) const {
  result.dropped += datagrams_in(sends_[send].bytes, outgoing_[send].segment_size);
}

BatchResult DatagramBatch::flush(UdpSocket& socket) {
  for (std::size_t i = 0; i < sends_used_; ++i) {
    // One alone needs no segmentation.
    if (sends_[i].bytes <= outgoing_[i].segment_size) outgoing_[i].segment_size = 0;
  }
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
