#include "guest_tcp.h"

#include <algorithm>

#include "check.h"
#include "pattern.h"

namespace sluice::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::SeqNum;

constexpr Duration kTimeoutFirst = seconds(1);
constexpr std::uint32_t kBackoffMax = 3;
constexpr std::uint32_t kSynsMax = 9;
constexpr Duration kProbeInterval = milliseconds(700);
constexpr Duration kAckDelay = milliseconds(40);
constexpr Duration kKeepAlive = seconds(30);

}  // namespace

GuestTcp::GuestTcp(const ConnectionPlan& plan, std::uint32_t number, GuestStack& stack)
    : plan_(plan), number_(number), stack_(stack) {}

SeqNum GuestTcp::sequence_of(std::uint64_t offset) const {
  return SeqNum{plan_.isn} + 1 + static_cast<std::uint32_t>(offset);
}

SeqNum GuestTcp::acknowledgment() const {
  return peer_isn_ + 1 + static_cast<std::uint32_t>(received_) + (end_reached_ ? 1U : 0U);
}

std::uint32_t GuestTcp::free_window() const {
  return plan_.guest_end.receive_buffer - static_cast<std::uint32_t>(received_ - read_);
}

std::uint16_t GuestTcp::window_field() {
  const unsigned scale = scaling_ ? *plan_.window_scale : 0;
  const std::uint32_t field = std::min<std::uint32_t>(free_window() >> scale, 0xffff);
  offered_ = std::max(offered_, received_ + (std::uint64_t{field} << scale));
  return static_cast<std::uint16_t>(field);
}

bool GuestTcp::may_close() const {
  return plan_.guest_end.ending == Ending::kAfterSending ||
         (plan_.guest_end.ending == Ending::kAfterPeer && end_reached_ && read_ == received_);
}

std::uint64_t GuestTcp::writable() const { return std::min(written_, plan_.guest_end.to_send); }

std::uint64_t GuestTcp::acked_data() const { return std::min(acked_, plan_.guest_end.to_send); }

// Opening.

void GuestTcp::start() {
  phase_ = Phase::kSynSent;
  send_syn();
}

void GuestTcp::send_syn() {
  ++syns_;
  const bool answer = phase_ == Phase::kSynReceived;
  OutgoingSegment segment{.sequence = SeqNum{plan_.isn},
                          .acknowledgment = answer ? peer_isn_ + 1 : SeqNum{},
                          .flags = answer ? wire::kSyn | wire::kAck : wire::kSyn};
  const std::uint32_t window = std::min<std::uint32_t>(plan_.guest_end.receive_buffer, 0xffff);
  segment.window = static_cast<std::uint16_t>(window);
  offered_ = std::max<std::uint64_t>(offered_, window);
  segment.options.mss = plan_.mss;
  segment.options.window_scale = plan_.window_scale;
  segment.options.sack_permitted = plan_.sack;
  stack_.transmit(number_, segment);
  retransmit_at_ = stack_.now() + kTimeoutFirst * (1 << std::min(syns_ - 1, kBackoffMax));
  wake_when(retransmit_at_);
}

void GuestTcp::on_knock(const wire::TcpView& segment) {
  if (segment.flags().rst()) return;
  check(segment.flags() == wire::kSyn, "a listener is called with a bare SYN");
  if (plan_.guest_refuses) {
    phase_ = Phase::kRefused;
    answer_with_reset(segment);
    return;
  }
  const auto options = wire::parse_tcp_options(segment.options());
  phase_ = Phase::kSynReceived;
  peer_isn_ = segment.sequence();
  scaling_ = options.window_scale && plan_.window_scale;
  peer_scale_ = options.window_scale.value_or(0);
  sack_ = options.sack_permitted && plan_.sack;
  peer_edge_max_ = edge_ = segment.window();
  send_syn();
}

void GuestTcp::on_syn_answer(const wire::TcpView& segment) {
  const wire::TcpFlags flags = segment.flags();
  if (flags.rst()) {
    if (flags.ack() && segment.acknowledgment() == SeqNum{plan_.isn} + 1) {
      phase_ = Phase::kRefused;
      got_reset_ = true;
    }
    return;
  }
  if (!flags.syn() || !flags.ack() || segment.acknowledgment() != SeqNum{plan_.isn} + 1) {
    if (flags.ack()) answer_with_reset(segment);
    return;
  }
  const auto options = wire::parse_tcp_options(segment.options());
  check(plan_.window_scale || !options.window_scale, "window scale only where it was offered");
  check(plan_.sack || !options.sack_permitted, "SACK only where it was offered");
  peer_isn_ = segment.sequence();
  scaling_ = options.window_scale && plan_.window_scale;
  peer_scale_ = options.window_scale.value_or(0);
  sack_ = options.sack_permitted && plan_.sack;
  open(segment);
  send_ack();
  transmit_more();
}

void GuestTcp::open(const wire::TcpView& segment) {
  phase_ = Phase::kOpen;
  opened_at_ = stack_.now();
  retransmit_at_ = kNever;
  backoff_ = 0;
  const bool syn = segment.flags().syn();
  edge_ = std::uint64_t{segment.window()} << (scaling_ && !syn ? peer_scale_ : 0);
  peer_edge_max_ = edge_;
  window_seq_ = segment.sequence();
  window_ack_ = segment.acknowledgment();
  next_write_ = stack_.now();
  keep_alive_at_ = stack_.now() + kKeepAlive;
  if (plan_.guest_end.ending == Ending::kReset) {
    wake_when(opened_at_ + plan_.guest_end.reset_after);
  }
  if (plan_.guest_end.read_interval != Duration::zero()) {
    next_read_ = stack_.now() + plan_.guest_end.read_interval;
  }
  wake_when(next_write_);
  wake_when(keep_alive_at_);
}

void GuestTcp::on_unreachable() {
  if (phase_ == Phase::kSynSent) phase_ = Phase::kRefused;
}

// Segments.

void GuestTcp::on_segment(const wire::TcpView& segment) {
  switch (phase_) {
    case Phase::kIdle:
      if (plan_.inbound) {
        on_knock(segment);
      } else {
        answer_with_reset(segment);
      }
      return;
    case Phase::kSynSent: on_syn_answer(segment); return;
    case Phase::kReset:
    case Phase::kRefused:
      if (phase_ == Phase::kRefused && plan_.inbound && plan_.guest_refuses) {
        on_knock(segment);
      } else {
        answer_with_reset(segment);
      }
      return;
    case Phase::kSynReceived:
      if (segment.flags().syn()) {
        if (segment.sequence() == peer_isn_) send_syn();
        return;
      }
      if (segment.flags().rst()) {
        on_reset(segment);
        return;
      }
      if (!segment.flags().ack() || segment.acknowledgment() != SeqNum{plan_.isn} + 1) return;
      open(segment);
      break;
    case Phase::kOpen:
    case Phase::kTimeWait:
      if (segment.flags().rst()) {
        on_reset(segment);
        return;
      }
      if (segment.flags().syn()) {
        send_ack();  // A repeated SYN-ACK: our ACK was lost.
        return;
      }
      break;
  }
  check(segment.flags().ack(), "every segment of an open connection has an ACK");
  keep_alive_at_ = stack_.now() + kKeepAlive;
  on_ack(segment);
  on_data(segment);
  read();
  finish_if_done();
  transmit_more();
  finish_if_done();
  if (ack_pending_) send_ack();
}

void GuestTcp::answer_with_reset(const wire::TcpView& segment) {
  if (segment.flags().rst()) return;
  OutgoingSegment reply{.flags = wire::kRst};
  if (segment.flags().ack()) {
    reply.sequence = segment.acknowledgment();
  } else {
    reply.flags = wire::kRst | wire::kAck;
    reply.acknowledgment = segment.sequence() +
                           static_cast<std::uint32_t>(segment.payload().size()) +
                           (segment.flags().syn() ? 1U : 0U);
  }
  stack_.transmit(number_, reply);
}

void GuestTcp::on_reset(const wire::TcpView& segment) {
  // RFC 5961, 3.2.
  if (segment.sequence() == acknowledgment() || phase_ == Phase::kSynReceived) {
    if (phase_ != Phase::kTimeWait) {
      phase_ = Phase::kReset;
      got_reset_ = true;
    }
    return;
  }
  if (segment.sequence() > acknowledgment() &&
      segment.sequence() <= peer_isn_ + 1 + static_cast<std::uint32_t>(offered_)) {
    send_ack();
  }
}

void GuestTcp::on_data(const wire::TcpView& segment) {
  const ByteView payload = segment.payload();
  if (payload.empty() && !segment.flags().fin()) {
    // Not a byte, but what is before the window wants an answer (a probe, a keep-alive).
    if (segment.sequence() < acknowledgment()) ack_pending_ = true;
    return;
  }
  const auto ahead = segment.sequence() - (peer_isn_ + 1 + static_cast<std::uint32_t>(received_));
  const std::int64_t begin = static_cast<std::int64_t>(received_) + ahead;
  check(begin >= 0, "no byte before the first");
  const auto offset = static_cast<std::uint64_t>(begin);
  const std::uint64_t end = offset + payload.size();
  check(end <= offered_, "no byte beyond the guest's window");
  check(end <= plan_.host_end.to_send, "no byte that the host did not send");
  check(Pattern::matches(salt_in(number_), offset, payload), "the host's bytes arrive unchanged");
  if (segment.flags().fin()) {
    check(end == plan_.host_end.to_send && plan_.host_end.ending != Ending::kReset,
          "FIN stands behind the host's last byte");
    end_at_ = end;
  }
  if (!payload.empty() && end <= received_) ++repeated_segments_;
  if (offset > received_ || end <= received_) ack_pending_ = true;
  arrive(offset, payload);
  if (!end_reached_ && received_ == end_at_) {
    end_reached_ = true;
    ack_pending_ = true;
  }
  if (segment.flags().fin()) ack_pending_ = true;
  if (plan_.delayed_ack && !ack_pending_ && ++unacknowledged_segments_ < 2) {
    if (ack_at_ == kNever) ack_at_ = stack_.now() + kAckDelay;
    wake_when(ack_at_);
    return;
  }
  ack_pending_ = true;
}

void GuestTcp::arrive(std::uint64_t offset, ByteView payload) {
  constexpr std::size_t kEarlyMax = 64;
  take_in({offset, offset + payload.size()}, received_, early_, kEarlyMax);
}

void GuestTcp::read() {
  if (plan_.guest_end.read_interval == Duration::zero()) {
    read_ = received_;
  } else if (read_ != received_) {
    wake_when(std::max(next_read_, stack_.now()));
  }
}

// Time.

void GuestTcp::wake_when(Instant when) {
  if (woken_at_ <= when) return;
  woken_at_ = when;
  stack_.wake_at(number_, when);
}

void GuestTcp::on_wake() {
  const Instant now = stack_.now();
  if (woken_at_ > now) return;  // An older call that a nearer one overtook.
  woken_at_ = kNever;
  if (finished()) return;
  if (phase_ == Phase::kSynSent || phase_ == Phase::kSynReceived) {
    if (retransmit_at_ <= now) {
      if (syns_ >= kSynsMax) {
        phase_ = Phase::kRefused;
        return;
      }
      send_syn();
    }
    wake_when(retransmit_at_);
    return;
  }
  if (phase_ != Phase::kOpen) return;
  const EndPlan& plan = plan_.guest_end;
  if (plan.ending == Ending::kReset && opened_at_ + plan.reset_after <= now) {
    send_reset();
    return;
  }
  const Instant pause = opened_at_ + plan.pauses_after;
  if (next_read_ <= now && pause <= now && now < pause + plan.pause) {
    next_read_ = pause + plan.pause;
  } else if (next_read_ <= now) {
    const std::uint64_t before = offered_;
    read_ = std::min<std::uint64_t>(received_, read_ + plan.read_chunk);
    next_read_ = now + plan.read_interval;
    // RFC 9293, 3.8.6.2.2
    const std::uint64_t step = std::min<std::uint64_t>(plan.receive_buffer / 2, plan_.mss);
    const unsigned scale = scaling_ ? *plan_.window_scale : 0;
    const std::uint64_t could =
        received_ + (std::min<std::uint64_t>(free_window() >> scale, 0xffff) << scale);
    if (!end_reached_ && could >= before + step) ack_pending_ = true;
  }
  if (next_write_ <= now && written_ < plan.to_send) {
    written_ += plan.write_chunk;
    if (plan.urgent_every != 0 && ++writes_ % plan.urgent_every == 0) urgent_until_ = writable();
    next_write_ = now + plan.write_interval;
  }
  transmit_more();
  if (retransmit_at_ <= now) on_retransmission_timeout();
  if (probe_at_ <= now) {
    send_probe();
    probe_at_ = now + kProbeInterval;
  }
  if (keep_alive_at_ <= now) {
    send_probe();
    keep_alive_at_ = now + kKeepAlive;
  }
  if (ack_pending_ || ack_at_ <= now) send_ack();
  finish_if_done();
  if (finished()) return;
  if (plan.ending == Ending::kReset) wake_when(opened_at_ + plan.reset_after);
  if (written_ < plan.to_send) wake_when(next_write_);
  if (read_ != received_) wake_when(next_read_);
  wake_when(std::min({retransmit_at_, probe_at_, keep_alive_at_, ack_at_}));
}

void GuestTcp::finish_if_done() {
  if (phase_ != Phase::kOpen) return;
  if (!end_reached_ || !fin_is_out_ || acked_ != plan_.guest_end.to_send + 1) return;
  phase_ = Phase::kTimeWait;
  if (ack_pending_) send_ack();
}

}  // namespace sluice::sim
