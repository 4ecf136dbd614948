#include "flow/gate/refused.h"

#include <algorithm>

namespace sluice::flow {
namespace {

// All that comes is taken; nothing of it is kept.
constexpr std::uint16_t kWindow = 0xffff;

}  // namespace

void Refused::send(const End& end, ActionSink& out) const {
  const std::size_t frame =
      end.link.frame_payload_max(end.key.guest.address.family(), end.segment_size);
  const auto had = std::min<std::size_t>(distance(first, acked), answer.size());
  ByteView rest = ByteView(answer).subspan(had);
  wire::SeqNum sequence = first + static_cast<std::uint32_t>(had);
  do {
    const ByteView piece = rest.first(std::min(rest.size(), frame));
    rest = rest.subspan(piece.size());
    end.link.send_tcp({.source = end.key.remote,
                       .destination = end.key.guest,
                       .sequence = sequence,
                       .acknowledgment = guest_next,
                       .flags = rest.empty() ? wire::kFin | wire::kPsh | wire::kAck : wire::kAck,
                       .window = kWindow,
                       .segment_size = end.segment_size,
                       .payload = piece},
                      out);
    sequence += static_cast<std::uint32_t>(piece.size());
  } while (!rest.empty());
}

void Refused::acknowledge(const End& end, ActionSink& out) const {
  end.link.send_tcp({.source = end.key.remote,
                     .destination = end.key.guest,
                     .sequence = next(),
                     .acknowledgment = guest_next,
                     .flags = wire::kAck,
                     .window = kWindow,
                     .payload = {}},
                    out);
}

Refused::Next Refused::on_segment(const End& end, const wire::TcpView& segment, ActionSink& out) {
  const wire::TcpFlags flags = segment.flags();
  if (flags.rst()) return segment.sequence() == guest_next ? Next::kGone : Next::kStays;
  // RFC 9293, 3.6.1: a new connection may begin above the old one's numbers.
  if (flags.syn()) {
    return !flags.ack() && segment.sequence() > guest_next ? Next::kReopened : Next::kStays;
  }
  const bool was_closed = is_closed();
  const wire::SeqNum acknowledged = segment.acknowledgment();
  if (flags.ack() && acknowledged > acked && acknowledged <= next()) {
    acked = acknowledged;
  }
  const bool fin = flags.fin();
  const auto closing = [&] { return is_closed() && !was_closed ? Next::kClosed : Next::kStays; };
  if (segment.payload().empty() && !fin) return closing();
  const wire::SeqNum until =
      segment.sequence() + static_cast<std::uint32_t>(segment.payload().size());
  if (!guest_finished && segment.sequence() <= guest_next && until >= guest_next) {
    guest_next = until;
    guest_finished = fin;
    if (fin) guest_next += 1;
  }
  acknowledge(end, out);
  return closing();
}

Refused::Next Refused::on_timer(const End& end, ActionSink& out) {
  if (is_closed()) return Next::kGone;
  if (resends == kResendsMax) {
    end.link.send_tcp({.source = end.key.remote,
                       .destination = end.key.guest,
                       .sequence = next(),
                       .acknowledgment = guest_next,
                       .flags = wire::kRst | wire::kAck,
                       .payload = {}},
                      out);
    return Next::kGone;
  }
  ++resends;
  if (acked != next()) send(end, out);
  return Next::kStays;
}

}  // namespace sluice::flow
