// The fast path: a connection that carries enough is handed over to the guest's own kernel. Our end
// of it becomes a kernel socket in the guest's namespace, and from there on no byte of it passes
// this engine. docs/fast_path.md has the mechanism.
//
// A flow stands still while that happens: all that either side sent has arrived, nothing new is
// sent, and what the guest sends nevertheless waits, unread, with the driver. If the hand-over
// fails, these packets come back as if they had just arrived, and nobody has noticed.
#include <algorithm>

#include "flow/tcp/tcp_flows.h"
#include "trace/probe.h"

namespace sluice::flow {
namespace {

// When a hand-over pays (docs/adr/0007-fast-path.md): after so many bytes, unless they are short
// questions and answers, which are quicker by the tap. A flow for which it failed has to carry four
// times as much before it is tried again, and is left alone in the end: each try holds it up.
constexpr std::uint64_t kBytesFirst = 256 * 1024;
constexpr std::uint64_t kBytesEachTurn = 32 * 1024;
constexpr std::uint8_t kFailuresMax = 6;
// A guest that does not acknowledge what it was sent within this time is too busy.
constexpr Duration kPatience = std::chrono::milliseconds(100);
// The guest may have this much more under way when the driver is asked.
constexpr std::uint32_t kStillOpenMax = 256 * 1024;
// What the new socket offers at first. The guest's kernel sees it from us before the socket has
// reason to say anything.
constexpr std::uint32_t kFirstWindow = 1024 * 1024;
// How long a packet of a connection that has ended may still come.
constexpr Duration kLinger = std::chrono::seconds(2);
constexpr std::size_t kLingeringMax = 4096;

[[nodiscard]] std::uint32_t first_window(const TcpFlow& flow, const Receiver& rx) {
  return std::max(rx.open(), flow.guest.scaled ? kFirstWindow : 0xffffU);
}

[[nodiscard]] bool wants_hand_over(const TcpFlow& flow, HandOverWhen when) {
  const bool hopeless =
      flow.hand_overs_failed >= kFailuresMax || flow.room_only || flow.watched != nullptr;
  if (when == HandOverWhen::kNever || hopeless) return false;
  const std::uint64_t moved = flow.bytes_to_host + flow.bytes_to_guest;
  // A server of the guest's whose queue is full drops our ACK after it sent a SYN-ACK, or has sent
  // a SYN cookie and knows of nothing (tcp(7), tcp_syncookies). Bytes show that it has us.
  const bool stands = !flow.inbound || moved > 0;
  if (when == HandOverWhen::kAlways && flow.hand_overs_failed == 0) return stands;
  return moved >= std::max(kBytesFirst, flow.hand_over_after) &&
         moved >= flow.turns * kBytesEachTurn;
}

// Whether both sides have all that was sent, as far as we can know.
[[nodiscard]] bool stands_still(const Relaying& state, BurstEnd burst_end) {
  const auto& [rx, tx] = state;
  const bool sending = !tx.all_acked() || tx.peek_pending;
  const bool writing = rx.has_chain() || rx.write_size != 0 || rx.buffered != 0;
  if (sending || writing || rx.has_gap()) return false;
  return burst_end == BurstEnd::kDrained || distance(rx.received, rx.window_edge) <= kStillOpenMax;
}

}  // namespace

void TcpFlows::consider_hand_over(TcpFlow& flow, Relaying& state, Turn turn) {
  // A connection that is about to end is not worth it.
  const bool ending = state.rx.guest_finished || state.tx.end_seen || flow.host_failed.has_value();
  if (flow.hand_over == HandOverStage::kNone) [[likely]] {
    if (ending || !wants_hand_over(flow, hand_over_when_)) [[likely]]
      return;
    flow.hand_over = HandOverStage::kWanted;
    flow.hand_over_until = turn.now + kPatience;
    arm(flow, flow.hand_over_until);
  }
  if (flow.hand_over != HandOverStage::kWanted) return;
  if (ending || hand_over_when_ == HandOverWhen::kNever) {
    go_on_by_tap(flow, state, turn);
    return;
  }
  if (!stands_still(state, burst_end_)) return;
  flow.hand_over = HandOverStage::kAsked;
  flow.hand_over_until = kNever;
  discard_acked(flow, state.tx, turn.out);
  turn.out.push(HandOverTcp{flow.id,
                            {.local = flow.key.remote,
                             .peer = flow.key.guest,
                             .send_next = state.tx.sent,
                             .receive_next = state.rx.received,
                             .send_window = state.tx.window,
                             .receive_window = first_window(flow, state.rx),
                             .segment_size = flow.guest.mss,
                             .scaled = flow.guest.scaled,
                             .send_scale = flow.guest.window_scale,
                             .receive_scale = flow.guest.our_scale(),
                             .sack = flow.guest.sack}});
}

void TcpFlows::on_handed_over(TcpId id, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr || flow->hand_over != HandOverStage::kAsked) return;
  auto* state = std::get_if<Relaying>(&flow->state);
  if (state == nullptr) return;
  const Receiver& rx = state->rx;
  spill_.promise(state->rx.promised, 0);
  // The guest may wait for a window that only we know to be open.
  link_.send_tcp(
      {.source = flow->key.remote,
       .destination = flow->key.guest,
       .sequence = state->tx.sent,
       .acknowledgment = rx.received,
       .flags = wire::kAck,
       .window = static_cast<std::uint16_t>(first_window(*flow, rx) >> flow->guest.our_scale()),
       .payload = {}},
      turn.out);
  flow->hand_over = HandOverStage::kNone;
  flow->active = turn.now;
  const auto received = static_cast<std::uint32_t>(rx.stream_offset);
  flow->state = HandedOver{.guest_isn = rx.received - received - 1,
                           .to_host_before = flow->bytes_to_host,
                           .to_guest_before = flow->bytes_to_guest};
  timers_.arm(flow->timer, turn.now + options_.idle_limit);
}

void TcpFlows::on_hand_over_failed(TcpId id, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr || flow->hand_over != HandOverStage::kAsked) return;
  auto* state = std::get_if<Relaying>(&flow->state);
  if (state != nullptr) go_on_by_tap(*flow, *state, turn);
}

// The window stood still as well, so the guest is told how it is now.
void TcpFlows::go_on_by_tap(TcpFlow& flow, Relaying& state, Turn turn) {
  flow.hand_over = HandOverStage::kNone;
  flow.hand_over_until = kNever;
  flow.hand_over_after = 4 * std::max(kBytesFirst, flow.bytes_to_host + flow.bytes_to_guest);
  flow.hand_overs_failed =
      std::min<std::uint8_t>(kFailuresMax, static_cast<std::uint8_t>(flow.hand_overs_failed + 1));
  send_ack(flow, state, turn.out);
  request_data(flow, state.tx, turn);
}

// Of a datagram that came in pieces only the last piece is here as it came. It counts as lost.
void TcpFlows::divert(const TcpFlow& flow, const wire::IpPacketView& packet, ActionSink& out) {
  if (packet.payload.data() + packet.payload.size() != packet.packet.data() + packet.packet.size())
      [[unlikely]] {
    admission_.drops().count(DropReason::kFragmentDropped);
    return;
  }
  out.push(DivertTcp{flow.id, packet.packet});
}

void TcpFlows::segment_handed_over(TcpFlow& flow, const HandedOver& state,
                                   const TcpArrival& arrival, Turn turn) {
  const wire::TcpFlags flags = arrival.segment.flags();
  if (flags.syn() && !flags.ack() && arrival.segment.sequence() != state.guest_isn) {
    // No late copy of the first one: the guest uses the port again: its old connection is gone,
    // whatever is still on its way.
    reopen(flow, arrival, turn);
    return;
  }
  divert(flow, arrival.packet, turn.out);
}

void TcpFlows::on_carried(TcpId id, std::uint64_t to_host, std::uint64_t to_guest, Instant now) {
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  const auto* state = std::get_if<HandedOver>(&flow->state);
  if (state == nullptr || state->over) return;
  if (flow->bytes_to_host != state->to_host_before + to_host) flow->moved = now;
  flow->bytes_to_host = state->to_host_before + to_host;
  flow->bytes_to_guest = state->to_guest_before + to_guest;
  flow->active = now;
}

void TcpFlows::on_carried_to_end(TcpId id, policy::Outcome outcome, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  auto* state = std::get_if<HandedOver>(&flow->state);
  if (state == nullptr || state->over) return;
  if (flow->by_loopback || over_ >= kLingeringMax) {
    remove(id, outcome, turn);
    return;
  }
  SLUICE_PROBE(flow_closed, id.index, static_cast<std::uint8_t>(outcome), 0);
  report(*flow, outcome, turn);
  state->over = true;
  ++over_;
  timers_.arm(flow->timer, turn.now + kLinger);
}

}  // namespace sluice::flow
