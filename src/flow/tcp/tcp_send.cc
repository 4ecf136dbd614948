// Host to guest: what the guest acknowledged, what may be sent next, and what must be sent again.
#include <algorithm>

#include "flow/tcp/tcp_flows.h"
#include "trace/probe.h"

namespace sluice::flow {
namespace {

// Where our data ends: a FIN takes a number but no byte.
[[nodiscard]] wire::SeqNum data_end(const Relaying& state) {
  return state.fin_sent ? state.sent - 1 : state.sent;
}

}  // namespace

void TcpFlows::receive_ack(std::uint32_t index, TcpFlow& flow, Relaying& state,
                           const wire::TcpView& segment, Turn turn) {
  const wire::SeqNum ack = segment.acknowledgment();
  if (ack > state.sent) [[unlikely]] {  // RFC 9293, 3.10.7.4: answered, not believed.
    admission_.drops().count(DropReason::kTcpBadAck);
    flow.ack_due = true;
    return;
  }
  if (ack < state.acked) return;
  bool repeat = ack == state.acked && ack != state.sent && segment.payload().empty();
  // RFC 9293, 3.10.7.4: only the newest segment speaks for the window. One that acknowledges more
  // is newer whatever its number: it may repeat old data.
  const wire::SeqNum sequence = segment.sequence();
  if (ack > state.acked || state.window_seq < sequence ||
      (state.window_seq == sequence && state.window_ack <= ack)) {
    const std::uint32_t window = std::uint32_t{segment.window()}
                                 << (flow.guest.scaled ? flow.guest.window_scale : 0);
    repeat = repeat && window == state.window;
    if (window > state.window && state.acked == state.sent) state.resend_at = kNever;
    state.window = window;
    state.window_seq = sequence;
    state.window_ack = ack;
    // It is alive, and full. Only for a host that lives this may last.
    if (window == 0 && !flow.host_failed) state.progress_at = turn.now;
  }
  if (flow.guest.sack && !segment.options().empty()) [[unlikely]]
    receive_sacks(state, segment);
  if (ack > state.acked) {
    receive_progress(index, flow, state, ack, turn);
  } else if (repeat) [[unlikely]] {
    note_repeat(index, flow, state, turn.out);
  }
}

void TcpFlows::receive_progress(std::uint32_t index, TcpFlow& flow, Relaying& state,
                                wire::SeqNum ack, Turn turn) {
  state.acked = ack;
  state.repeats = 0;
  state.progress_at = turn.now;
  if (state.timing && ack >= state.timed_seq) {
    state.rtt.sample(turn.now - state.timed_at);
    state.timing = false;
  } else {
    state.rtt.progress();
  }
  state.resend_at = ack == state.sent ? kNever : turn.now + state.rtt.timeout();
  if (state.resend_at != kNever) arm(flow, state.resend_at);
  if (state.loss != nullptr) [[unlikely]] {
    state.loss->sacked.trim(ack);
    if (state.recovering) {
      if (ack >= state.recover) {
        state.recovering = false;
      } else {
        repair(index, flow, state, turn.out);  // RFC 6582: a partial ACK shows the next hole.
      }
    }
  }
}

[[gnu::cold]] void TcpFlows::receive_sacks(Relaying& state, const wire::TcpView& segment) {
  const wire::TcpOptions options = wire::parse_tcp_options(segment.options());
  for (const wire::SackBlock& block : options.sacks()) {
    // RFC 2018, 5: only what was sent and is not acknowledged; a D-SACK lies outside.
    if (block.left < state.acked || block.right > state.sent || block.left >= block.right) continue;
    if (state.loss == nullptr) state.loss = std::make_unique<LossState>();
    (void)state.loss->sacked.insert(block);
  }
}

[[gnu::cold]] void TcpFlows::note_repeat(std::uint32_t index, TcpFlow& flow, Relaying& state,
                                         ActionSink& out) {
  if (state.loss == nullptr) state.loss = std::make_unique<LossState>();
  if (state.repeats < 255) ++state.repeats;
  if (!state.recovering) {
    // RFC 5681, 3.2 and RFC 6675, 4: three repeats, or as much SACKed above the hole.
    const auto sacked = state.loss->sacked.ranges();
    const bool above = !sacked.empty() &&
                       distance(sacked.front().left, sacked.back().right) >= 3U * flow.guest.mss;
    if (state.repeats < 3 && !above) return;
    state.recovering = true;
    state.recover = state.sent;
    state.loss->repaired = state.acked;
    state.timing = false;  // Karn: an ACK of a repeat says nothing about time.
  }
  repair(index, flow, state, out);
}

// Sends the first hole that this recovery has not sent yet.
[[gnu::cold]] void TcpFlows::repair(std::uint32_t index, TcpFlow& flow, Relaying& state,
                                    ActionSink& out) {
  LossState& loss = *state.loss;
  wire::SeqNum hole = loss.repaired > state.acked ? loss.repaired : state.acked;
  hole = loss.sacked.end_of_range_at(hole);
  wire::SeqNum end = state.recover;
  bool bounded = false;
  for (const wire::SackBlock& range : loss.sacked.ranges()) {
    if (range.left > hole) {
      end = range.left;
      bounded = true;
      break;
    }
  }
  // Above the highest SACK nothing is known to be lost, unless the repair starts at the very edge.
  if (!bounded && hole != state.acked && !loss.sacked.empty()) return;
  if (hole >= state.recover) return;
  const wire::SeqNum last = data_end(state);
  if (hole >= last) {
    if (state.fin_sent) {
      SLUICE_PROBE(retransmit, index, 0, 0);
      send_control(flow, state, last, wire::kFin | wire::kAck, out);
    }
    loss.repaired = state.sent;
    return;
  }
  const std::size_t frame =
      link_.frame_payload_max(flow.key.guest.address.family(), flow.guest.mss);
  const std::uint32_t size =
      std::min({distance(hole, end), distance(hole, last), static_cast<std::uint32_t>(frame)});
  loss.repaired = hole + size;
  SLUICE_PROBE(retransmit, index, size, 0);
  out.push(PeekTcp{id_of(index), hole, distance(state.head, hole), size});
}

[[gnu::noinline]] void TcpFlows::end_flow_burst(std::uint32_t index, TcpFlow& flow, Turn turn) {
  auto* state = std::get_if<Relaying>(&flow.state);
  if (state == nullptr) return;
  const TcpId id = id_of(index);
  if (flow.range_first != kNoRange) {
    write_burst(id, flow, *state, turn.out);
    flow.write_size = static_cast<std::uint32_t>(state->stream_offset - flow.write_offset);
    // The ACK follows what the host takes.
  } else {
    if (flow.ack_due) {
      if (may_hold_ack(*state)) {
        touch(flow, index);
      } else {
        send_ack(index, flow, *state, turn.out);
      }
    }
    pass_fin_on(id, *state, turn.out);
  }
  discard_acked(id, *state, turn.out);
  consider_hand_over(index, flow, *state, turn);
  request_data(index, flow, *state, turn);
  finish_if_done(id, flow, turn);
}

void TcpFlows::on_readable(TcpId id, bool hung_up, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  flow->host_readable = true;
  // A connection that was reset looks hung up, too.
  flow->host_hung_up = flow->host_hung_up || (hung_up && !flow->host_failed);
  if (auto* state = std::get_if<Relaying>(&flow->state)) {
    request_data(id.index, *flow, *state, turn);
  }
}

void TcpFlows::request_data(std::uint32_t index, TcpFlow& flow, Relaying& state, Turn turn) {
  if (!flow.host_readable || flow.deferred || state.peek_pending || state.end_seen) return;
  if (flow.hand_over != HandOverStage::kNone) [[unlikely]]
    return;
  const std::uint32_t in_flight = distance(state.acked, state.sent);
  if (state.window <= in_flight) {
    if (in_flight == 0 && state.resend_at == kNever) {
      state.resend_at =
          turn.now + state.rtt.timeout();  // RFC 9293, 3.8.6.1: probe a closed window.
      arm(flow, state.resend_at);
    }
    return;
  }
  const std::uint32_t usable = state.window - in_flight;
  // RFC 9293, 3.8.6.2.1: no sliver of a segment while an ACK is on its way.
  if (usable < flow.guest.mss && in_flight > 0) return;
  state.peek_pending = true;
  turn.out.push(PeekTcp{id_of(index), state.sent, distance(state.head, state.sent),
                        std::min(usable, options_.peek_max)});
}

[[gnu::noinline]] void TcpFlows::on_peeked(TcpId id, const TcpPeeked& peeked, Turn turn) {
  const auto& [sequence, status, bytes, more] = peeked;
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  auto* state = std::get_if<Relaying>(&flow->state);
  if (state == nullptr) return;
  if (sequence != state->sent || !state->peek_pending) {  // A repair.
    if (status == PeekStatus::kData) send_data(*flow, *state, sequence, bytes, false, turn.out);
    return;
  }
  state->peek_pending = false;
  flow->active = turn.now;
  if (flow->host_failed && !flow->host_hung_up && status != PeekStatus::kData &&
      status != PeekStatus::kBehindUnread) [[unlikely]] {
    state->end_seen = true;  // Its end is no FIN.
    end_failed(id, *flow, *state, turn);
    return;
  }
  switch (status) {
    case PeekStatus::kBehindUnread: return;  // The next ACK asks again.
    case PeekStatus::kWouldBlock:
      flow->host_readable = false;
      consider_hand_over(id.index, *flow, *state, turn);
      return;
    case PeekStatus::kEndOfStream:
      state->end_seen = true;
      state->fin_sent = true;
      send_control(*flow, *state, state->sent, wire::kFin | wire::kAck, turn.out);
      SLUICE_PROBE(bytes_to_guest, id.index, 0, 1);
      state->sent += 1;
      note_sent(*flow, *state, turn.now);
      return;
    case PeekStatus::kData: break;
  }
  // When the host's FIN was here before we looked and the queue is drained, it is next.
  const bool fin = !more && flow->host_hung_up;
  send_data(*flow, *state, sequence, bytes, fin, turn.out);
  flow->bytes_to_guest += bytes.size();
  flow->answered = true;
  state->sent += static_cast<std::uint32_t>(bytes.size());
  if (fin) {
    state->end_seen = true;
    state->fin_sent = true;
    state->sent += 1;
  }
  SLUICE_PROBE(bytes_to_guest, id.index, bytes.size(), state->fin_sent);
  note_sent(*flow, *state, turn.now);
  if (more) {
    flow->deferred = true;
    deferred_.push_back(id);
  } else {
    flow->host_readable = flow->host_failed.has_value();  // No event will tell of its end.
  }
}

void TcpFlows::note_sent(TcpFlow& flow, Relaying& state, Instant now) {
  if (!state.timing && !state.recovering) {
    state.timing = true;
    state.timed_seq = state.sent;
    state.timed_at = now;
  }
  if (state.resend_at == kNever) {
    state.resend_at = now + state.rtt.timeout();
    state.progress_at = now;
    arm(flow, state.resend_at);
  }
}

void TcpFlows::send_data(TcpFlow& flow, Relaying& state, wire::SeqNum sequence, ByteView bytes,
                         bool fin, ActionSink& out) {
  const std::size_t frame =
      link_.frame_payload_max(flow.key.guest.address.family(), flow.guest.mss);
  while (!bytes.empty()) {
    const ByteView piece = bytes.first(std::min(bytes.size(), frame));
    bytes = bytes.subspan(piece.size());
    wire::TcpFlags flags = wire::kAck;
    if (bytes.empty()) flags = flags | wire::kPsh;
    if (bytes.empty() && fin) flags = flags | wire::kFin;
    const std::uint16_t window = advertise(flow, state);
    link_.send_tcp({.source = flow.key.remote,
                    .destination = flow.key.guest,
                    .sequence = sequence,
                    .acknowledgment = state.acknowledged,
                    .flags = flags,
                    .window = window,
                    .segment_size = flow.guest.mss,
                    .payload = piece},
                   out);
    sequence += static_cast<std::uint32_t>(piece.size());
  }
  flow.ack_due = false;
}

void TcpFlows::send_ack(std::uint32_t index, TcpFlow& flow, Relaying& state, ActionSink& out) {
  send_control(flow, state, state.sent, wire::kAck, out);
  SLUICE_PROBE(window_update, index, state.acknowledged.value, state.window_edge.value);
}

// Every ACK makes the guest's kernel work, in our time: while its bulk data keeps coming and its
// window is far from full, one ACK can speak for several bursts.
bool TcpFlows::may_hold_ack(const Relaying& state) const {
  constexpr std::uint32_t kHeldMax = 2 * 1024 * 1024;
  if (burst_end_ == BurstEnd::kDrained || state.guest_finished || state.loss != nullptr) {
    return false;
  }
  const std::uint32_t held = distance(state.acknowledged, state.received);
  const std::uint32_t open = distance(state.received, state.window_edge);
  return held > 0 && held < kHeldMax && held < open;
}

void TcpFlows::send_control(TcpFlow& flow, Relaying& state, wire::SeqNum sequence,
                            wire::TcpFlags flags, ActionSink& out) {
  if (flow.range_first == kNoRange) flow.ack_due = false;
  const std::uint16_t window = advertise(flow, state);
  wire::TcpOptions options;
  if (flow.guest.sack && state.loss != nullptr) [[unlikely]] {
    // RFC 2018, 4: first the block that holds the newest segment.
    const auto holds_newest = [&](const wire::SackBlock& block) {
      return block.left <= state.loss->newest && state.loss->newest < block.right;
    };
    for (const wire::SackBlock& block : state.loss->stashed.ranges()) {
      if (holds_newest(block)) options.add_sack(block);
    }
    for (const wire::SackBlock& block : state.loss->stashed.ranges()) {
      if (!holds_newest(block)) options.add_sack(block);
    }
  }
  link_.send_tcp({.source = flow.key.remote,
                  .destination = flow.key.guest,
                  .sequence = sequence,
                  .acknowledgment = state.acknowledged,
                  .flags = flags,
                  .window = window,
                  .options = options.sack_count > 0 ? &options : nullptr,
                  .payload = {}},
                 out);
}

void TcpFlows::discard_acked(TcpId id, Relaying& state, ActionSink& out) {
  const wire::SeqNum last = data_end(state);
  const wire::SeqNum acked = state.acked > last ? last : state.acked;
  const std::uint32_t bytes = distance(state.head, acked);
  if (bytes == 0) return;
  state.head = acked;
  out.push(DiscardTcp{id, bytes});
}

}  // namespace sluice::flow
