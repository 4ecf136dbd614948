#include "link/packet/packet_link.h"

#include <cerrno>
#include <utility>

#include "wire/link/virtio_net.h"

namespace sluice::link {
namespace {

[[nodiscard]] iovec part_of(ByteView bytes) {
  // sendmmsg(2) only reads through it.
  return {.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
}

}  // namespace

std::expected<std::unique_ptr<PacketLink>, sys::SetupError> PacketLink::create(
    sys::Kernel& kernel, std::array<UniqueFd, 2> sockets, const QueueRings& rings,
    const wire::LinkFeatures& features) {
  auto for_short = PacketRing::map(sockets[0].get(), rings.for_short);
  if (!for_short) return std::unexpected(for_short.error());
  auto for_long = PacketRing::map(sockets[1].get(), rings.for_long);
  if (!for_long) return std::unexpected(for_long.error());
  return std::make_unique<PacketLink>(kernel,
                                      Sources{{std::move(sockets[0]), std::move(*for_short)},
                                              {std::move(sockets[1]), std::move(*for_long)}},
                                      features);
}

PacketLink::PacketLink(sys::Kernel& kernel, Sources sources, const wire::LinkFeatures& features)
    : kernel_(&kernel),
      sources_(std::move(sources)),
      fds_{sources_.for_short.fd.get(), sources_.for_long.fd.get()},
      features_(features) {
  frames_.reserve(kBurstFrames);
  for (std::size_t i = 0; i < kSendFrames; ++i) {
    messages_[i].msg_hdr.msg_iov = parts_[i].data();
  }
}

// A flow's frames are filled in one after another, so whoever sees one sees those before it: a ring
// that was empty before the other one had a frame is asked again.
PacketRing* PacketLink::next_ring() {
  PacketRing& short_ring = sources_.for_short.ring;
  PacketRing& long_ring = sources_.for_long.ring;
  auto short_at = short_ring.next_at();
  const auto long_at = long_ring.next_at();
  if (!long_at) return short_at ? &short_ring : nullptr;
  if (!short_at) short_at = short_ring.next_at();
  return short_at && *short_at < *long_at ? &short_ring : &long_ring;
}

bool PacketLink::has_lost_interface() {
  bool lost = false;
  for (const int fd : fds_) {
    int error = 0;
    socklen_t length = sizeof error;
    const int got = kernel_->getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    lost = lost || (got == 0 && error == ENETDOWN);
  }
  return lost;
}

[[gnu::noinline]] Link::Burst PacketLink::read_burst(Depth depth) {
  flush();
  frames_.clear();
  std::size_t bytes = 0;
  while (frames_.size() < kBurstFrames && bytes < kBurstBytes) {
    PacketRing* const ring = next_ring();
    if (ring == nullptr) {
      // As a rule it is read when there is something to see: where it is no frame, an error.
      const bool told = frames_.empty() && depth == Depth::kAsExpected;
      return {frames_, true, told && has_lost_interface()};
    }
    const auto frame = ring->take();
    if (!frame) continue;
    bytes += frame->bytes.size();
    frames_.push_back(*frame);
  }
  return {frames_, false, false};
}

void PacketLink::flush() {
  sources_.for_short.ring.give_back();
  sources_.for_long.ring.give_back();
}

std::size_t PacketLink::send(std::size_t count) {
  std::size_t lost = 0;
  for (std::size_t begin = 0; begin < count;) {
    // One socket is as good as the other.
    const int sent =
        kernel_->sendmmsg(fds_[1], &messages_[begin], static_cast<unsigned>(count - begin),
                          waits_ ? 0 : MSG_DONTWAIT);
    if (sent > 0) {
      begin += static_cast<std::size_t>(sent);
    } else {
      if (errno == EAGAIN) waits_ = false;
      ++lost;
      ++begin;
    }
  }
  return lost;
}

[[gnu::noinline]] std::size_t PacketLink::write(const wire::FrameBatch& batch) {
  waits_ = true;
  std::size_t lost = 0;
  std::size_t count = 0;
  for (const wire::FrameOut& frame : batch) {
    frame.offload.emit_legacy(offloads_[count]);
    parts_[count] = {part_of(offloads_[count]), part_of(batch.header(frame)),
                     part_of(frame.payload)};
    messages_[count].msg_hdr.msg_iovlen = frame.payload.empty() ? kParts - 1 : kParts;
    if (++count == kSendFrames) {
      lost += send(count);
      count = 0;
    }
  }
  if (count > 0) lost += send(count);
  return lost;
}

}  // namespace sluice::link
