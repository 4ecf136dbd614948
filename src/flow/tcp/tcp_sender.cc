#include "flow/tcp/tcp_sender.h"

#include <algorithm>

namespace sluice::flow {

AckNews Sender::on_ack(const wire::TcpView& segment, const GuestTcpOptions& guest, bool host_lives,
                       Instant now) {
  const wire::SeqNum ack = segment.acknowledgment();
  if (ack > sent) [[unlikely]]
    return AckNews::kNeverSent;
  if (ack < acked) return AckNews::kNothing;
  bool repeat = ack == acked && ack != sent && segment.payload().empty();
  // RFC 9293, 3.10.7.4: only the newest segment speaks for the window. One that acknowledges more
  // is newer whatever its number: it may repeat old data.
  const wire::SeqNum sequence = segment.sequence();
  if (ack > acked || window_seq < sequence || (window_seq == sequence && window_ack <= ack)) {
    const std::uint32_t told = guest.window_of(segment);
    repeat = repeat && told == window;
    if (told > window && acked == sent) resend_at = kNever;
    window = told;
    window_seq = sequence;
    window_ack = ack;
    // It is alive, and full. Only for a host that lives this may last.
    if (told == 0 && host_lives) progress_at = now;
  }
  if (guest.sack && !segment.options().empty()) [[unlikely]]
    note_sacks(segment);
  if (ack > acked) return on_progress(ack, now);
  if (repeat) [[unlikely]]
    return on_repeat(guest.mss);
  return AckNews::kNothing;
}

AckNews Sender::on_progress(wire::SeqNum ack, Instant now) {
  acked = ack;
  repeats = 0;
  progress_at = now;
  if (timing && ack >= timed_seq) {
    rtt.sample(now - timed_at);
    timing = false;
  } else {
    rtt.progress();
  }
  resend_at = ack == sent ? kNever : now + rtt.timeout();
  if (loss != nullptr) [[unlikely]] {
    loss->sacked.trim(ack);
    if (recovering) {
      if (ack < recover) return AckNews::kHole;  // RFC 6582: a partial ACK shows the next one.
      recovering = false;
    }
  }
  return AckNews::kProgress;
}

[[gnu::cold]] void Sender::note_sacks(const wire::TcpView& segment) {
  const wire::TcpOptions options = wire::parse_tcp_options(segment.options());
  for (const wire::SackBlock& block : options.sacks()) {
    // RFC 2018, 5: only what was sent and is not acknowledged; a D-SACK lies outside.
    if (block.left < acked || block.right > sent || block.left >= block.right) continue;
    if (loss == nullptr) loss = std::make_unique<Loss>();
    (void)loss->sacked.insert(block);
  }
}

[[gnu::cold]] AckNews Sender::on_repeat(std::uint16_t mss) {
  if (loss == nullptr) loss = std::make_unique<Loss>();
  if (repeats < 255) ++repeats;
  if (!recovering) {
    // RFC 5681, 3.2 and RFC 6675, 4: three repeats, or as much SACKed above the hole.
    const auto sacked = loss->sacked.ranges();
    const bool above =
        !sacked.empty() && distance(sacked.front().left, sacked.back().right) >= 3U * mss;
    if (repeats < 3 && !above) return AckNews::kNothing;
    recovering = true;
    recover = sent;
    loss->repaired = acked;
    timing = false;  // Karn: an ACK of a repeat says nothing about time.
  }
  return AckNews::kHole;
}

[[gnu::cold]] std::optional<Sender::Hole> Sender::next_hole(std::size_t frame_max) {
  wire::SeqNum hole = loss->repaired > acked ? loss->repaired : acked;
  hole = loss->sacked.end_of_range_at(hole);
  wire::SeqNum end = recover;
  bool bounded = false;
  for (const wire::SackBlock& range : loss->sacked.ranges()) {
    if (range.left > hole) {
      end = range.left;
      bounded = true;
      break;
    }
  }
  // Above the highest SACK nothing is known to be lost, unless the repair starts at the very edge.
  if (!bounded && hole != acked && !loss->sacked.empty()) return std::nullopt;
  if (hole >= recover) return std::nullopt;
  const wire::SeqNum last = data_end();
  if (hole >= last) {
    loss->repaired = sent;
    if (!fin_sent) return std::nullopt;
    return Hole{last, 0};
  }
  const std::uint32_t size =
      std::min({distance(hole, end), distance(hole, last), static_cast<std::uint32_t>(frame_max)});
  loss->repaired = hole + size;
  return Hole{hole, size};
}

// RFC 2018, 8: after a timeout no SACK is trusted.
[[gnu::cold]] void Sender::time_out() {
  if (loss == nullptr) loss = std::make_unique<Loss>();
  loss->sacked.clear();
  loss->repaired = acked;
  recovering = true;
  recover = sent;
  timing = false;
}

std::uint32_t Sender::usable(std::uint16_t mss) const {
  const std::uint32_t flying = in_flight();
  if (window <= flying) return 0;
  const std::uint32_t room = window - flying;
  // RFC 9293, 3.8.6.2.1: no sliver of a segment while an ACK is on its way.
  return room < mss && flying > 0 ? 0 : room;
}

bool Sender::begin_probing(Instant now) {
  if (window != 0 || !all_acked() || resend_at != kNever) return false;
  resend_at = now + rtt.timeout();
  return true;
}

void Sender::note_data(std::size_t bytes, bool fin) {
  sent += static_cast<std::uint32_t>(bytes);
  if (!fin) return;
  end_seen = true;
  fin_sent = true;
  sent += 1;
}

bool Sender::note_sent(Instant now) {
  if (!timing && !recovering) {
    timing = true;
    timed_seq = sent;
    timed_at = now;
  }
  if (resend_at != kNever) return false;
  resend_at = now + rtt.timeout();
  progress_at = now;
  return true;
}

std::uint32_t Sender::take_acked() {
  const wire::SeqNum last = data_end();
  const wire::SeqNum to = acked > last ? last : acked;
  const std::uint32_t bytes = distance(head, to);
  head = to;
  return bytes;
}

}  // namespace sluice::flow
