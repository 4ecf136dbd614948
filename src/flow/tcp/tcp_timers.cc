// What happens to a TCP flow when time passes, or when its host side breaks.
#include <algorithm>

#include "flow/tcp/tcp_flows.h"
#include "trace/probe.h"

namespace sluice::flow {
namespace {

constexpr std::uint8_t kSynResendsMax = 5;
// How long the guest may leave what we sent unacknowledged: when it has closed its side and only
// our FIN is missing, and otherwise.
constexpr Duration kLastAckPatience = std::chrono::seconds(60);
constexpr Duration kPatience = std::chrono::minutes(5);
// How long a guest that takes nothing keeps a connection whose host has failed.
constexpr Duration kFailedPatience = std::chrono::seconds(60);
// A guest's kernel forgets a connection that its program has closed, a minute after its FIN was
// acknowledged, without a word to the other side. How often it is asked.
constexpr Duration kHalfClosedCheck = std::chrono::seconds(5);

}  // namespace

void TcpFlows::on_timer(std::uint32_t index, Turn turn) {
  const TcpId id = id_of(index);
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  if (std::holds_alternative<Connecting>(flow->state)) return;  // The host kernel's to give up.
  if (auto* accepted = std::get_if<SynAckSent>(&flow->state)) {
    if (accepted->resends == kSynResendsMax) {
      abort(id, *flow, policy::Outcome::kTimedOut, turn);
      return;
    }
    SLUICE_PROBE(retransmit, index, 0, 0);
    send_syn(*flow, accepted->our_isn, accepted->guest_next, turn.out);
    timers_.arm(flow->timer, turn.now + kSynResend * (1 << ++accepted->resends));
  } else if (auto* inbound = std::get_if<SynSent>(&flow->state)) {
    if (flow->host_failed) {
      abort(id, *flow, policy::Outcome::kResetByHost, turn);
      return;
    }
    if (inbound->resends == kSynResendsMax) {
      abort(id, *flow, policy::Outcome::kTimedOut, turn);
      return;
    }
    SLUICE_PROBE(retransmit, index, 0, 0);
    send_syn(*flow, inbound->our_isn, std::nullopt, turn.out);
    timers_.arm(flow->timer, turn.now + kSynResend * (1 << ++inbound->resends));
  } else if (auto* relaying = std::get_if<Relaying>(&flow->state)) {
    timer_relaying(id, *flow, *relaying, turn);
  } else if (const auto* carried = std::get_if<HandedOver>(&flow->state);
             carried != nullptr && !carried->over) {
    if (turn.now - flow->active >= options_.idle_limit) {
      abort(id, *flow, policy::Outcome::kTimedOut, turn);
    } else {
      timers_.arm(flow->timer, flow->active + options_.idle_limit);
    }
  } else {
    remove(id, policy::Outcome::kClosed, turn);
  }
}

void TcpFlows::timer_relaying(TcpId id, TcpFlow& flow, Relaying& state, Turn turn) {
  if (turn.now - flow.active >= options_.idle_limit) {
    abort(id, flow, policy::Outcome::kTimedOut, turn);
    return;
  }
  if (flow.hand_over == HandOverStage::kWanted && turn.now >= flow.hand_over_until) {
    go_on_by_tap(id.index, flow, state, turn);
  }
  if (turn.now >= state.resend_at) {
    const bool last_ack = state.guest_finished && state.fin_sent;
    const Duration patience = flow.host_failed ? kFailedPatience
                              : last_ack       ? kLastAckPatience
                                               : kPatience;
    if (turn.now - state.progress_at >= patience) {
      abort(id, flow, policy::Outcome::kTimedOut, turn);
      return;
    }
    if (state.acked == state.sent) {
      // A closed window: a segment from before it makes the guest say how things stand.
      send_control(flow, state, state.acked - 1, wire::kAck, turn.out);
    } else {
      // RFC 6298, 5.4 to 5.6, and RFC 2018, 8: after a timeout no SACK is trusted.
      if (state.loss == nullptr) state.loss = std::make_unique<LossState>();
      state.loss->sacked.clear();
      state.loss->repaired = state.acked;
      state.recovering = true;
      state.recover = state.sent;
      state.timing = false;
      repair(id.index, flow, state, turn.out);
    }
    state.rtt.back_off();
    state.resend_at = turn.now + state.rtt.timeout();
    if (last_ack) {
      state.resend_at = std::min(state.resend_at, state.progress_at + kLastAckPatience);
    }
  }
  if (turn.now >= state.check_at) check_half_closed(flow, state, turn);
  timers_.arm(flow.timer, std::min({state.resend_at, state.check_at, flow.hand_over_until,
                                    flow.active + options_.idle_limit}));
}

// A segment from before the window makes the guest say how things stand: its ACK, or the RST of a
// kernel that has forgotten. What is in flight asks as well.
void TcpFlows::check_half_closed(TcpFlow& flow, Relaying& state, Turn turn) {
  state.check_at = state.fin_sent ? kNever : turn.now + kHalfClosedCheck;
  if (state.fin_sent || state.acked != state.sent) return;
  send_control(flow, state, state.acked - 1, wire::kAck, turn.out);
}

void TcpFlows::watch_half_closed(TcpFlow& flow, Relaying& state, Instant now) {
  if (!state.host_shut || state.fin_sent || state.check_at != kNever) return;
  state.check_at = now + kHalfClosedCheck;
  arm(flow, state.check_at);
}

[[gnu::cold]] void TcpFlows::on_host_error(TcpId id, HostError error, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr || flow->host_failed || std::holds_alternative<HandedOver>(flow->state)) {
    return;
  }
  if (std::holds_alternative<Connecting>(flow->state)) {
    on_connect_failed(id, error, turn);
    return;
  }
  flow->host_failed = error;
  flow->host_hung_up = flow->host_hung_up || error == HostError::kResetAfterEnd;
  flow->host_readable = true;
  // Nobody waits for the guest any more. What the client sent before its reset is the guest's if it
  // answers about as fast as kernels do.
  if (std::holds_alternative<SynSent>(flow->state)) timers_.arm(flow->timer, turn.now + kSynResend);
  auto* state = std::get_if<Relaying>(&flow->state);
  // Before the guest has answered, or while a hand-over is asked for, this waits.
  if (state == nullptr || flow->hand_over == HandOverStage::kAsked) return;
  state->buffered = 0;
  state->progress_at = turn.now;
  if (flow->hand_over == HandOverStage::kWanted) {
    go_on_by_tap(id.index, *flow, *state, turn);
  } else {
    request_data(id.index, *flow, *state, turn);
  }
  end_failed(id, *flow, *state, turn);
}

[[gnu::cold]] void TcpFlows::on_socket_lost(TcpId id, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr || is_over(flow->state)) return;
  admission_.drops().count(DropReason::kTcpSocketLost);
  abort(id, *flow, policy::Outcome::kResetByHost, turn);
}

// The host's side has failed: once the guest has all that came before, it is told.
[[gnu::cold]] void TcpFlows::end_failed(TcpId id, TcpFlow& flow, const Relaying& state, Turn turn) {
  if (!state.end_seen || state.acked != state.sent) return;
  const bool timed_out = flow.host_failed == HostError::kTimedOut;
  abort(id, flow, timed_out ? policy::Outcome::kTimedOut : policy::Outcome::kResetByHost, turn);
}

// Resets both sides.
[[gnu::cold]] void TcpFlows::abort(TcpId id, TcpFlow& flow, policy::Outcome outcome, Turn turn) {
  if (const auto* accepted = std::get_if<SynAckSent>(&flow.state)) {
    send_reset(flow.key, accepted->our_isn + 1, accepted->guest_next, turn.out);
  } else if (const auto* inbound = std::get_if<SynSent>(&flow.state)) {
    send_reset(flow.key, inbound->our_isn + 1, std::nullopt, turn.out);
  } else if (const auto* relaying = std::get_if<Relaying>(&flow.state)) {
    send_reset(flow.key, relaying->sent, relaying->received, turn.out);
  }
  turn.out.push(CloseTcp{id, true});
  remove(id, outcome, turn);
}

}  // namespace sluice::flow
