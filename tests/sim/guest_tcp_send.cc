// What the guest's TCP sends, what of it is acknowledged, and what it sends again.
#include <algorithm>

#include "check.h"
#include "guest_tcp.h"
#include "pattern.h"

namespace sluice::sim {
namespace {

using wire::SeqNum;

constexpr Duration kTimeoutFirst = std::chrono::seconds(1);
constexpr std::uint32_t kBackoffMax = 3;
constexpr Duration kProbeInterval = std::chrono::milliseconds(700);

}  // namespace

void GuestTcp::arm_retransmission() {
  retransmit_at_ = stack_.now() + kTimeoutFirst * (1 << std::min(backoff_, kBackoffMax));
  wake_when(retransmit_at_);
}

void GuestTcp::send_ack() {
  ack_pending_ = false;
  ack_at_ = kNever;
  unacknowledged_segments_ = 0;
  OutgoingSegment segment{.sequence = sequence_of(next_),
                          .acknowledgment = acknowledgment(),
                          .flags = wire::kAck,
                          .window = window_field()};
  if (sack_) {
    for (auto range = early_.rbegin(); range != early_.rend(); ++range) {
      const SeqNum start = peer_isn_ + 1;
      segment.options.add_sack({start + static_cast<std::uint32_t>(range->first),
                                start + static_cast<std::uint32_t>(range->second)});
    }
  }
  stack_.transmit(number_, segment);
}

void GuestTcp::send_range(std::uint64_t offset, std::uint64_t end) {
  const std::uint64_t last = plan_.guest_end.to_send;
  const std::uint64_t data_end = std::min(end, last);
  const bool fin = end > last || (fin_is_out_ && end == last);
  OutgoingSegment segment{.sequence = sequence_of(offset),
                          .acknowledgment = acknowledgment(),
                          .flags = fin ? wire::kFin | wire::kAck : wire::kAck,
                          .window = window_field()};
  if (data_end > offset) {
    segment.payload = Pattern::at(salt_out(number_), offset, data_end - offset);
  }
  // RFC 9293, 3.8.5: every segment from before the urgent byte's end points there.
  if (offset < urgent_until_ && urgent_until_ - offset <= 0xffff) {
    segment.flags = segment.flags | wire::TcpFlags{wire::TcpFlags::kUrg};
    segment.urgent = static_cast<std::uint16_t>(urgent_until_ - offset);
  }
  stack_.transmit(number_, segment);
  ack_pending_ = false;
  ack_at_ = kNever;
  unacknowledged_segments_ = 0;
  if (retransmit_at_ == kNever) arm_retransmission();
}

void GuestTcp::transmit_more() {
  if (phase_ != Phase::kOpen) return;
  const std::uint64_t last = plan_.guest_end.to_send;
  while (next_ < writable()) {
    if (next_ >= edge_) break;
    const std::uint64_t size =
        std::min<std::uint64_t>({plan_.frame_max, writable() - next_, edge_ - next_});
    // RFC 9293, 3.8.6.2.1: no sliver while something is on its way.
    const bool fresh = next_ == highest_ && highest_ != acked_;
    if (fresh && size < plan_.mss && next_ + size < writable()) break;
    std::uint64_t end = next_ + size;
    if (end == last && may_close()) {
      end = last + 1;
      fin_is_out_ = true;
    }
    const std::uint64_t begin = next_;
    next_ = end;
    highest_ = std::max(highest_, next_);
    send_range(begin, end);
  }
  if (next_ == last && may_close()) {
    fin_is_out_ = true;
    next_ = last + 1;
    highest_ = std::max(highest_, next_);
    send_range(last, last + 1);
  }
  if (next_ < writable() && highest_ == acked_ && probe_at_ == kNever) {
    probe_at_ = stack_.now() + kProbeInterval;
    wake_when(probe_at_);
  }
}

// RFC 9293, 3.8.6.1: a segment from before the window makes the peer say how things stand.
void GuestTcp::send_probe() {
  stack_.transmit(number_, {.sequence = sequence_of(acked_) - 1,
                            .acknowledgment = acknowledgment(),
                            .flags = wire::kAck,
                            .window = window_field()});
}

void GuestTcp::send_reset() {
  phase_ = Phase::kReset;
  sent_reset_ = true;
  reset_at_ = next_;
  stack_.transmit(number_, {.sequence = sequence_of(next_),
                            .acknowledgment = acknowledgment(),
                            .flags = wire::kRst | wire::kAck});
}

void GuestTcp::on_retransmission_timeout() {
  ++timeouts_;
  ++backoff_;
  recovering_ = false;
  sacked_.clear();
  repeats_ = 0;
  next_ = acked_;
  retransmit_at_ = kNever;
  // The oldest segment goes out whatever the window says.
  const std::uint64_t last = plan_.guest_end.to_send;
  if (next_ < last && next_ >= edge_) {
    const std::uint64_t end = std::min<std::uint64_t>({next_ + plan_.mss, last, highest_});
    send_range(next_, end);
    next_ = end;
  }
  transmit_more();
  arm_retransmission();
}

void GuestTcp::fast_retransmit() {
  std::uint64_t hole = std::max(acked_, repaired_);
  std::uint64_t end = recover_;
  for (bool moved = true; moved;) {
    moved = false;
    for (const Range& range : sacked_) {
      if (range.first <= hole && hole < range.second) {
        hole = range.second;
        moved = true;
      }
    }
  }
  if (hole >= recover_) return;
  for (const Range& range : sacked_) {
    if (range.first > hole) end = std::min(end, range.first);
  }
  repaired_ = std::min<std::uint64_t>(end, hole + plan_.frame_max);
  send_range(hole, repaired_);
}

void GuestTcp::on_ack(const wire::TcpView& segment) {
  const auto ahead = segment.acknowledgment() - sequence_of(acked_);
  check(ahead <= static_cast<std::int64_t>(highest_ - acked_), "no ACK of what was never sent");
  const std::uint64_t window = std::uint64_t{segment.window()} << (scaling_ ? peer_scale_ : 0);
  if (ahead < 0) return;
  const std::uint64_t offset = acked_ + static_cast<std::uint64_t>(ahead);
  const std::uint64_t edge = offset + window;
  if (edge < peer_edge_max_ && !fin_is_out_) window_moved_left_ = true;
  bool repeat =
      offset == acked_ && highest_ != acked_ && segment.payload().empty() && !segment.flags().fin();
  const SeqNum sequence = segment.sequence();
  if (window_seq_ < sequence ||
      (window_seq_ == sequence && window_ack_ <= segment.acknowledgment())) {
    repeat = repeat && edge == edge_;
    edge_ = edge;
    window_seq_ = sequence;
    window_ack_ = segment.acknowledgment();
  }
  peer_edge_max_ = std::max(peer_edge_max_, edge);
  if (sack_ && !segment.options().empty()) note_sacks(segment);
  if (offset > acked_) {
    on_new_ack(offset);
  } else if (repeat) {
    on_repeat();
  }
  if (edge_ > next_) probe_at_ = kNever;
}

void GuestTcp::note_sacks(const wire::TcpView& segment) {
  const auto options = wire::parse_tcp_options(segment.options());
  for (const wire::SackBlock& block : options.sacks()) {
    const auto left = block.left - sequence_of(acked_);
    const auto right = block.right - sequence_of(acked_);
    if (left < 0) continue;
    check(right > left && right <= static_cast<std::int64_t>(highest_ - acked_),
          "a SACK block lies within what was sent");
    sacked_.emplace_back(acked_ + static_cast<std::uint64_t>(left),
                         acked_ + static_cast<std::uint64_t>(right));
  }
  if (sacked_.size() > 64) sacked_.erase(sacked_.begin(), sacked_.begin() + 32);
}

void GuestTcp::on_new_ack(std::uint64_t offset) {
  acked_ = offset;
  next_ = std::max(next_, acked_);
  repeats_ = 0;
  backoff_ = 0;
  std::erase_if(sacked_, [this](const Range& range) { return range.second <= acked_; });
  if (recovering_) {
    if (acked_ >= recover_) {
      recovering_ = false;
    } else {
      fast_retransmit();
    }
  }
  retransmit_at_ = kNever;
  if (acked_ != highest_) arm_retransmission();
}

void GuestTcp::on_repeat() {
  ++repeats_;
  if (!recovering_) {
    if (repeats_ < 3) return;
    recovering_ = true;
    recover_ = highest_;
    repaired_ = acked_;
  }
  fast_retransmit();
}

}  // namespace sluice::sim
