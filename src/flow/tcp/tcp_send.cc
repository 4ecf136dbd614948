// Host to guest: what follows from the guest's ACKs, and what is sent. Numbers and times are
// tcp_sender.h's.
#include <algorithm>

#include "flow/tcp/tcp_flows.h"
#include "trace/probe.h"

namespace sluice::flow {
namespace {

// Claims of a limit what a PeekTcp is to look at. Zero: not before `resume_at`, and where nothing
// is left at all, the flow ends then.
[[gnu::cold]] std::uint32_t claim_from_host(TcpFlow& flow, Sender& tx, std::uint32_t wanted,
                                            Instant now) {
  if (flow.metered.over || flow.used_up || now < tx.resume_at) return 0;
  policy::Lane& lane = flow.metered.meter->from_host();
  tx.claimed = static_cast<std::uint32_t>(lane.claim(wanted, now));
  if (tx.claimed != 0) return tx.claimed;
  flow.used_up = lane.used_up();
  tx.resume_at = flow.used_up ? now : lane.ready_at(now);
  return 0;
}

}  // namespace

void TcpFlows::receive_ack(TcpFlow& flow, Relaying& state, const wire::TcpView& segment,
                           Turn turn) {
  Sender& tx = state.tx;
  const AckNews news = tx.on_ack(segment, flow.guest, !flow.host_failed, turn.now);
  if (news == AckNews::kNothing) return;
  if (news == AckNews::kNeverSent) [[unlikely]] {
    admission_.drops().count(DropReason::kTcpBadAck);
    flow.ack_due = true;
    return;
  }
  if (tx.resend_at != kNever) arm(flow, tx.resend_at);
  if (news == AckNews::kHole) [[unlikely]]
    repair(flow, state, turn.out);
}

[[gnu::cold]] void TcpFlows::repair(TcpFlow& flow, Relaying& state, ActionSink& out) {
  const auto hole =
      state.tx.next_hole(link_.frame_payload_max(flow.key.guest.address.family(), flow.guest.mss));
  if (!hole) return;
  SLUICE_PROBE(retransmit, flow.id.index, hole->size, 0);
  if (hole->size == 0) {
    send_control(flow, state, {hole->sequence, wire::kFin | wire::kAck}, out);
  } else {
    out.push(PeekTcp{flow.id, hole->sequence, state.tx.offset_of(hole->sequence), hole->size});
  }
}

[[gnu::noinline]] void TcpFlows::end_flow_burst(TcpFlow& flow, Turn turn) {
  auto* state = std::get_if<Relaying>(&flow.state);
  if (state == nullptr) [[unlikely]] {
    end_gated_burst(flow, turn);
    return;
  }
  bool writing = state->rx.has_chain();
  if (flow.watched != nullptr) [[unlikely]] {
    const Sifted sifted = sift(flow, *state, turn);
    if (sifted == Sifted::kFlowIsGone) return;
    writing = sifted == Sifted::kWriting;
  } else if (writing) {
    turn.out.push(state->rx.begin_write(flow.id, lane_to_host(flow)));
  }
  // The ACK follows what the host takes.
  if (!writing) {
    if (flow.ack_due) {
      if (may_hold_ack(*state)) {
        touch(flow);
      } else {
        send_ack(flow, *state, turn.out);
      }
    }
    if (state->rx.take_fin()) turn.out.push(ShutdownTcp{flow.id});
  }
  discard_acked(flow, state->tx, turn.out);
  consider_hand_over(flow, *state, turn);
  request_data(flow, state->tx, turn);
  finish_if_done(flow, *state, turn);
}

void TcpFlows::on_readable(TcpId id, bool hung_up, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  flow->host_readable = true;
  // A connection that was reset looks hung up, too.
  flow->host_hung_up = flow->host_hung_up || (hung_up && !flow->host_failed);
  if (Relaying* state = standing(*flow)) request_data(*flow, state->tx, turn);
}

void TcpFlows::request_data(TcpFlow& flow, Sender& tx, Turn turn) {
  if (!flow.host_readable || flow.deferred || tx.peek_pending || tx.end_seen) return;
  if (flow.hand_over != HandOverStage::kNone) [[unlikely]]
    return;
  const std::uint32_t usable = tx.usable(flow.guest.mss);
  if (usable == 0) {
    if (tx.begin_probing(turn.now)) arm(flow, tx.resend_at);
    return;
  }
  std::uint32_t most = std::min(usable, options_.peek_max);
  if (flow.metered.any()) [[unlikely]] {
    most = claim_from_host(flow, tx, most, turn.now);
    if (most == 0) {
      if (flow.used_up || turn.now < tx.resume_at) arm(flow, tx.resume_at);
      return;
    }
  }
  tx.peek_pending = true;
  turn.out.push(PeekTcp{flow.id, tx.sent, tx.offset_of(tx.sent), most});
}

std::optional<TcpFramesToCome> TcpFlows::frames_to_come(TcpId id) const {
  const TcpFlow* flow = flows_.find(id);
  if (flow == nullptr || !link_.features().checksum) return std::nullopt;
  if (flow->watched != nullptr && flow->watched->listens()) [[unlikely]]
    return std::nullopt;
  const wire::IpAddress& guest = flow->key.guest.address;
  return TcpFramesToCome{
      .flow = {wire::IpProtocol::kTcp, flow->key.remote, flow->key.guest},
      .headers = wire::kEthernetHeaderSize + ip_header_size(guest) + wire::TcpView::kHeaderSize,
      .payload = link_.frame_payload_max(guest.family(), flow->guest.mss)};
}

[[gnu::noinline]] void TcpFlows::on_peeked(TcpId id, const TcpPeeked& peeked, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  Relaying* state = standing(*flow);
  if (state == nullptr) return;
  Sender& tx = state->tx;
  const auto& [sequence, status, bytes, more] = peeked;
  if (sequence != tx.sent || !tx.peek_pending) {  // A repair.
    if (status == PeekStatus::kData)
      send_data(*flow, state->rx, {sequence, bytes, false}, turn.out);
    return;
  }
  tx.peek_pending = false;
  if (flow->metered.any()) [[unlikely]]
    settle_from_host(*flow, tx, bytes.size(), turn.now);
  flow->active = turn.now;
  if (flow->host_failed && !flow->host_hung_up && status != PeekStatus::kData &&
      status != PeekStatus::kBehindUnread) [[unlikely]] {
    tx.end_seen = true;  // Its end is no FIN.
    end_failed(*flow, tx, turn);
    return;
  }
  switch (status) {
    case PeekStatus::kBehindUnread: return;  // The next ACK asks again.
    case PeekStatus::kWouldBlock:
      flow->host_readable = false;
      consider_hand_over(*flow, *state, turn);
      return;
    case PeekStatus::kEndOfStream:
      send_control(*flow, *state, {tx.sent, wire::kFin | wire::kAck}, turn.out);
      SLUICE_PROBE(bytes_to_guest, id.index, 0, 1);
      tx.note_data(0, true);
      if (tx.note_sent(turn.now)) arm(*flow, tx.resend_at);
      return;
    case PeekStatus::kData: break;
  }
  // When the host's FIN was here before we looked and the queue is drained, it is next.
  const bool fin = !more && flow->host_hung_up;
  send_data(*flow, state->rx, {sequence, bytes, fin}, turn.out);
  flow->bytes_to_guest += bytes.size();
  flow->answered = true;
  tx.note_data(bytes.size(), fin);
  SLUICE_PROBE(bytes_to_guest, id.index, bytes.size(), tx.fin_sent);
  if (tx.note_sent(turn.now)) arm(*flow, tx.resend_at);
  if (more) {
    flow->deferred = true;
    deferred_.push_back(id);
  } else {
    flow->host_readable = flow->host_failed.has_value();  // No event will tell of its end.
  }
  if (flow->watched != nullptr && flow->watched->hear(bytes)) [[unlikely]]
    (void)sift(*flow, *state, turn);
}

void TcpFlows::send_data(TcpFlow& flow, Receiver& rx, Stretch stretch, ActionSink& out) {
  const std::size_t frame =
      link_.frame_payload_max(flow.key.guest.address.family(), flow.guest.mss);
  ByteView bytes = stretch.bytes;
  while (!bytes.empty()) {
    const ByteView piece = bytes.first(std::min(bytes.size(), frame));
    bytes = bytes.subspan(piece.size());
    wire::TcpFlags flags = wire::kAck;
    if (bytes.empty()) flags = flags | wire::kPsh;
    if (bytes.empty() && stretch.fin) flags = flags | wire::kFin;
    const std::uint16_t window = advertise(flow, rx);
    link_.send_tcp({.source = flow.key.remote,
                    .destination = flow.key.guest,
                    .sequence = stretch.sequence,
                    .acknowledgment = rx.acknowledged,
                    .flags = flags,
                    .window = window,
                    .segment_size = flow.guest.mss,
                    .payload = piece},
                   out);
    stretch.sequence += static_cast<std::uint32_t>(piece.size());
  }
  flow.ack_due = false;
}

void TcpFlows::send_ack(TcpFlow& flow, Relaying& state, ActionSink& out) {
  send_control(flow, state, {state.tx.sent, wire::kAck}, out);
  SLUICE_PROBE(window_update, flow.id.index, state.rx.acknowledged.value,
               state.rx.window_edge.value);
}

// Where something was lost, either way, each burst has its ACK.
bool TcpFlows::may_hold_ack(const Relaying& state) const {
  return burst_end_ != BurstEnd::kDrained && state.tx.loss == nullptr && state.rx.may_hold_ack();
}

void TcpFlows::send_control(TcpFlow& flow, Relaying& state, Control control, ActionSink& out) {
  Receiver& rx = state.rx;
  if (!rx.has_chain()) flow.ack_due = false;
  const std::uint16_t window = advertise(flow, rx);
  wire::TcpOptions options;
  if (flow.guest.sack && rx.gaps != nullptr) [[unlikely]]
    rx.report_stashed(options);
  link_.send_tcp({.source = flow.key.remote,
                  .destination = flow.key.guest,
                  .sequence = control.sequence,
                  .acknowledgment = rx.acknowledged,
                  .flags = control.flags,
                  .window = window,
                  .options = options.sack_count > 0 ? &options : nullptr,
                  .payload = {}},
                 out);
}

}  // namespace sluice::flow
