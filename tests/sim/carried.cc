#include "carried.h"

#include <algorithm>

#include "check.h"
#include "pattern.h"

namespace sluice::sim {
namespace {

using wire::SeqNum;

constexpr Duration kTimeoutFirst = std::chrono::milliseconds(400);
constexpr std::uint32_t kBackoffMax = 4;
// More than a window has segments: a kernel keeps them all.
constexpr std::size_t kEarlyMax = 16'384;

}  // namespace

CarriedTcp::CarriedTcp(const Start& start, const ConnectionPlan& plan, std::uint32_t number,
                       CarriedStack& stack)
    : start_(start),
      plan_(plan),
      number_(number),
      stack_(stack),
      acked_(start.to_guest),
      next_(start.to_guest),
      highest_(start.to_guest),
      written_(start.to_guest),
      peer_edge_(start.to_guest + start.snapshot.send_window),
      window_seq_(start.snapshot.receive_next),
      window_ack_(start.snapshot.send_next),
      received_(start.from_guest),
      read_(start.from_guest),
      edge_(start.from_guest + start.snapshot.receive_window) {}

SeqNum CarriedTcp::sequence_of(std::uint64_t offset) const {
  return start_.snapshot.send_next + static_cast<std::uint32_t>(offset - start_.to_guest);
}

SeqNum CarriedTcp::acknowledgment() const {
  return start_.snapshot.receive_next + static_cast<std::uint32_t>(received_ - start_.from_guest) +
         (end_received_ ? 1U : 0U);
}

std::uint64_t CarriedTcp::edge_that_could_be() const {
  const std::uint64_t held = received_ - read_;
  const std::uint64_t free = start_.receive_buffer > held ? start_.receive_buffer - held : 0;
  const std::uint64_t largest = std::uint64_t{0xffff} << start_.snapshot.receive_scale;
  return received_ + std::min(free, largest);
}

// The right edge never moves left (RFC 9293, 3.8.6), so what the scale cannot express is rounded
// up.
std::uint16_t CarriedTcp::window_field() {
  edge_ = std::max(edge_, edge_that_could_be());
  const unsigned scale = start_.snapshot.receive_scale;
  const std::uint64_t open = edge_ > received_ ? edge_ - received_ : 0;
  const std::uint64_t unit = std::uint64_t{1} << scale;
  const std::uint64_t field = std::min<std::uint64_t>((open + unit - 1) >> scale, 0xffff);
  edge_ = std::max(edge_, received_ + (field << scale));
  return static_cast<std::uint16_t>(field);
}

void CarriedTcp::go_live() { send_probe(); }

// The owner's calls.

void CarriedTcp::read(std::uint64_t count) {
  check(count <= readable(), "only what has arrived is read");
  read_ += count;
  if (mark_ && read_ > *mark_) mark_.reset();
  if (dead_ || end_received_) return;
  // RFC 9293, 3.8.6.2.2
  const std::uint64_t step =
      std::min<std::uint64_t>(start_.receive_buffer / 2, start_.snapshot.segment_size);
  if (edge_that_could_be() >= edge_ + step) send_ack();
}

std::uint64_t CarriedTcp::writable() const {
  const std::uint64_t held = written_ - std::min(acked_, written_);
  return start_.send_buffer > held ? start_.send_buffer - held : 0;
}

void CarriedTcp::write(std::uint64_t count) {
  check(!shut_ && count <= writable(), "only what has room is written");
  written_ += count;
  check(written_ <= plan_.host_end.to_send, "no byte is written that the host did not send");
  transmit_more();
}

void CarriedTcp::shutdown() {
  shut_ = true;
  transmit_more();
}

void CarriedTcp::reset() {
  if (dead_) return;
  dead_ = true;
  stack_.transmit_carried(number_, {.sequence = sequence_of(next_),
                                    .acknowledgment = acknowledgment(),
                                    .flags = wire::kRst | wire::kAck});
}

// Segments.

void CarriedTcp::on_segment(const wire::TcpView& segment) {
  const wire::TcpFlags flags = segment.flags();
  if (dead_) {  // Nobody is there any more.
    if (flags.rst() || !flags.ack()) return;
    stack_.transmit_carried(number_, {.sequence = segment.acknowledgment(), .flags = wire::kRst});
    return;
  }
  if (flags.rst()) {
    on_reset(segment);
    return;
  }
  if (flags.syn()) {
    send_ack();  // RFC 5961, 4
    return;
  }
  if (!flags.ack()) return;
  on_ack(segment);
  on_data(segment);
  transmit_more();
  if (ack_pending_) send_ack();
}

// RFC 5961, 3.2
void CarriedTcp::on_reset(const wire::TcpView& segment) {
  if (segment.sequence() == acknowledgment()) {
    dead_ = true;
    reset_by_guest_ = true;
    return;
  }
  const SeqNum edge = acknowledgment() + static_cast<std::uint32_t>(edge_ - received_);
  if (segment.sequence() > acknowledgment() && segment.sequence() <= edge) send_ack();
}

void CarriedTcp::on_ack(const wire::TcpView& segment) {
  const auto ahead = segment.acknowledgment() - sequence_of(acked_);
  check(ahead <= static_cast<std::int64_t>(highest_ - acked_),
        "the guest acknowledges nothing that was never sent");
  if (ahead < 0) return;
  const std::uint64_t offset = acked_ + static_cast<std::uint64_t>(ahead);
  const SeqNum sequence = segment.sequence();
  if (offset > acked_ || window_seq_ < sequence ||
      (window_seq_ == sequence && window_ack_ <= segment.acknowledgment())) {
    peer_edge_ = offset + (std::uint64_t{segment.window()} << start_.snapshot.send_scale);
    window_seq_ = sequence;
    window_ack_ = segment.acknowledgment();
  }
  if (offset == acked_) return;
  acked_ = offset;
  next_ = std::max(next_, acked_);
  backoff_ = 0;
  resend_at_ = kNever;
  arm();
}

void CarriedTcp::on_data(const wire::TcpView& segment) {
  const ByteView payload = segment.payload();
  const bool fin = segment.flags().fin();
  if (payload.empty() && !fin) {
    if (segment.sequence() < acknowledgment()) ack_pending_ = true;  // A keep-alive.
    return;
  }
  ack_pending_ = true;
  const SeqNum zero =
      start_.snapshot.receive_next - static_cast<std::uint32_t>(start_.from_guest & 0xffff'ffffU);
  const auto ahead = segment.sequence() - (zero + static_cast<std::uint32_t>(received_));
  const std::int64_t begin = static_cast<std::int64_t>(received_) + ahead;
  check(begin >= 0, "the guest sends no byte before its first");
  const auto offset = static_cast<std::uint64_t>(begin);
  const std::uint64_t end = offset + payload.size();
  check(end <= plan_.guest_end.to_send, "no byte that the guest did not send");
  check(Pattern::matches(GuestTcp::salt_out(number_), offset, payload),
        "the guest's bytes arrive unchanged");
  if (fin && end <= edge_) {
    check(end == plan_.guest_end.to_send, "the guest's FIN stands behind its last byte");
    end_at_ = end;
  }
  note_urgent(offset, segment);
  arrive(offset, std::min(end, std::max(edge_, received_)));
  if (received_ == end_at_) end_received_ = true;
}

// As Linux: only a byte that is to come gets a mark, and the newest has it.
void CarriedTcp::note_urgent(std::uint64_t offset, const wire::TcpView& segment) {
  if (!segment.flags().urg() || segment.urgent() == 0) return;
  const std::uint64_t at = offset + segment.urgent() - 1;
  check(at < plan_.guest_end.to_send, "an urgent byte is one of the stream's");
  if (at >= received_ && (!mark_ || at > *mark_)) mark_ = at;
}

void CarriedTcp::arrive(std::uint64_t begin, std::uint64_t end) {
  take_in({begin, end}, received_, early_, kEarlyMax);
}

// Sending.

void CarriedTcp::transmit_more() {
  if (dead_) return;
  while (next_ < std::min(written_, peer_edge_)) {
    const std::uint64_t size = std::min<std::uint64_t>(
        {start_.snapshot.segment_size, written_ - next_, peer_edge_ - next_});
    // RFC 9293, 3.8.6.2.1: no sliver while something is on its way.
    const bool sliver = size < start_.snapshot.segment_size && next_ + size < written_;
    if (sliver && next_ != acked_) break;
    transmit(next_, next_ + size);
  }
  if (shut_ && next_ == written_) transmit(written_, written_ + 1);
  arm();
}

void CarriedTcp::transmit(std::uint64_t begin, std::uint64_t end) {
  const bool fin = shut_ && end >= written_;
  if (fin) end = written_ + 1;
  OutgoingSegment segment{.sequence = sequence_of(begin),
                          .acknowledgment = acknowledgment(),
                          .flags = fin ? wire::kFin | wire::kAck : wire::kAck,
                          .window = window_field()};
  const std::uint64_t data_end = std::min(end, written_);
  if (data_end > begin) {
    segment.payload = Pattern::at(GuestTcp::salt_in(number_), begin, data_end - begin);
  }
  next_ = end;
  highest_ = std::max(highest_, next_);
  ack_pending_ = false;
  stack_.transmit_carried(number_, segment);
}

void CarriedTcp::send_ack() {
  ack_pending_ = false;
  OutgoingSegment segment{.sequence = sequence_of(next_),
                          .acknowledgment = acknowledgment(),
                          .flags = wire::kAck,
                          .window = window_field()};
  if (start_.snapshot.sack) {
    const SeqNum zero = acknowledgment() - static_cast<std::uint32_t>(received_ & 0xffff'ffffU);
    for (auto range = early_.rbegin(); range != early_.rend(); ++range) {
      segment.options.add_sack({zero + static_cast<std::uint32_t>(range->first),
                                zero + static_cast<std::uint32_t>(range->second)});
    }
  }
  stack_.transmit_carried(number_, segment);
}

// A segment from before the window makes the guest say how things stand.
void CarriedTcp::send_probe() {
  stack_.transmit_carried(number_, {.sequence = sequence_of(acked_) - 1,
                                    .acknowledgment = acknowledgment(),
                                    .flags = wire::kAck,
                                    .window = window_field()});
}

bool CarriedTcp::waits_for_window() const { return next_ == acked_ && next_ < written_; }

void CarriedTcp::arm() {
  if (resend_at_ != kNever || dead_) return;
  if (acked_ == highest_ && !waits_for_window()) return;
  resend_at_ = stack_.now() + kTimeoutFirst * (1 << std::min(backoff_, kBackoffMax));
  stack_.wake_carried_at(number_, resend_at_);
}

void CarriedTcp::on_wake() {
  if (dead_ || resend_at_ > stack_.now()) return;  // An older call that a newer one replaced.
  resend_at_ = kNever;
  ++backoff_;
  if (waits_for_window()) {
    send_probe();
  } else if (acked_ != highest_) {
    next_ = acked_;
    if (next_ < written_ && next_ >= peer_edge_) {
      send_probe();
    } else {
      transmit_more();
    }
  }
  arm();
}

}  // namespace sluice::sim
