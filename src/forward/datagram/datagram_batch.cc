#include "forward/datagram/datagram_batch.h"

#include <algorithm>
#include <span>

#include "forward/datagram/datagram_rows.h"

namespace sluice::forward {
namespace {

// What one UDP_SEGMENT send may carry.
constexpr std::size_t kRowBytesMax = 65'000;
// Segments must fit the path's MTU, which for most is Ethernet's less the headers of IPv6. Larger
// datagrams go out alone, and the kernel fragments them.
constexpr std::size_t kSegmentMax = 1452;

}  // namespace

bool DatagramBatch::extend(ByteView payload) {
  if (rows_used_ == 0) return false;
  Row& last = rows_[rows_used_ - 1];
  if (!last.open || payload.empty() || payload.size() > last.segment_size) return false;
  if (last.parts >= host::kMaxGsoSegments || last.bytes + payload.size() > kRowBytesMax) {
    return false;
  }
  ++last.parts;
  last.bytes += payload.size();
  last.open = payload.size() == last.segment_size;
  return true;
}

bool DatagramBatch::add(ByteView payload, std::uint16_t segment_size) {
  if (parts_used_ == kPartsMax) return false;
  if (segment_size != 0 || !extend(payload)) {
    if (rows_used_ == kRowsMax) return false;
    const bool open = segment_size == 0 && !payload.empty() && payload.size() <= kSegmentMax;
    rows_[rows_used_++] = {
        .first_part = parts_used_,
        .parts = 1,
        .bytes = payload.size(),
        .segment_size = open ? static_cast<std::uint16_t>(payload.size()) : segment_size,
        .open = open};
  }
  // The kernel does not write to what it sends.
  parts_[parts_used_++] = {.iov_base = const_cast<std::uint8_t*>(payload.data()),
                           .iov_len = payload.size()};
  return true;
}

void DatagramBatch::prepare(const host::OutgoingDatagram& route) {
  for (std::size_t i = 0; i < rows_used_; ++i) {
    const Row& row = rows_[i];
    outgoing_[i] = {
        .target = route.target,
        .payload = std::span(parts_).subspan(row.first_part, row.parts),
        // One alone needs no segmentation.
        .segment_size = row.bytes > row.segment_size ? row.segment_size : std::uint16_t{},
        .source = route.source,
        .scope_id = route.scope_id};
  }
}

BatchResult DatagramBatch::flush(host::UdpSocket& socket, const host::OutgoingDatagram& route) {
  prepare(route);
  BatchResult result;
  std::size_t at = 0;
  const auto drop = [&] {
    result.dropped += datagrams_in(rows_[at].bytes, rows_[at].segment_size);
    ++at;
  };
  while (at < rows_used_) {
    const auto sent = socket.send(scratch_, std::span(outgoing_).subspan(at, rows_used_ - at));
    if (!sent) {
      if (result.error == 0) result.error = sent.error().error;
      drop();
    } else if (*sent == 0) {
      while (at < rows_used_) drop();
    } else {
      for (const std::size_t end = at + *sent; at < end; ++at) result.bytes += rows_[at].bytes;
    }
  }
  rows_used_ = 0;
  parts_used_ = 0;
  return result;
}

}  // namespace sluice::forward
