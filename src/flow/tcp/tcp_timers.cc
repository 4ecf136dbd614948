// What happens to a TCP flow when time passes, when its host side breaks, or when it has to end
// though neither side wants it: the policy that let it through is another by then, or a person says
// so. Then what one side sent and the other has not got goes no further.
#include <algorithm>
#include <utility>

#include "base/overloaded.h"
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

// The host has heard of it.
[[nodiscard]] bool has_begun(const TcpState& state) {
  return !std::holds_alternative<Deciding>(state) && !std::holds_alternative<Connecting>(state) &&
         !std::holds_alternative<Finding>(state) && !std::holds_alternative<Joining>(state);
}

// It ends at our DNS, which judges each question, or at our pages.
[[nodiscard]] bool ends_here(const TcpFlow& flow, const TargetMap& targets) {
  if (!flow.room_only || flow.kept != nullptr) return false;
  const TargetKind kind = targets.target_of(flow.key.remote).kind;
  return kind == TargetKind::kDnsRelay || kind == TargetKind::kPages;
}

// After a change of the policy: nothing of a flow may go, or go on, past whom it is to be led by.
[[nodiscard]] bool keeps_its_way(const TcpFlow& flow, const FlowAdmission& admission) {
  const bool asked = !std::holds_alternative<Deciding>(flow.state) &&
                     (!flow.hostless || (flow.kept != nullptr && flow.kept->is_let_through()));
  return !asked || is_led_right(admission, flow.by, flow.way.get());
}

// After a change of the policy. False: nothing is left for it.
[[nodiscard]] bool keeps_its_limit(TcpFlow& flow, FlowAdmission& admission, Instant now) {
  if (flow.metered.over) return true;  // It is told with its first bytes.
  Relaying* const state = standing(flow);
  if (state != nullptr) {
    if (state->tx.claimed != 0) settle_from_host(flow, state->tx, 0, now);
    state->tx.resume_at = now;
  }
  flow.used_up = false;
  const policy::MeterTable& meters = admission.meters();
  const bool unjudged = flow.inbound || flow.by_loopback;
  return admission.move_to_meter(flow.metered,
                                 unjudged ? meters.of_run() : meters.of(flow.by.rule));
}

}  // namespace

void TcpFlows::on_timer(std::uint32_t index, Turn turn) {
  TcpFlow* flow = find(TcpId{flows_.handle_of(index)});
  if (flow == nullptr) return;
  if (flow->used_up) [[unlikely]] {
    on_used_up(flow->id, turn);
    return;
  }
  std::visit(
      Overloaded{
          // The last address is the host kernel's to give up.
          [&](const Connecting& state) { (void)dial_next(*flow, state.guest_isn, timers_, turn); },
          [](const Finding&) {},  // It is answered in any case.
          [&](const Joining&) { abort(*flow, policy::Outcome::kTimedOut, turn); },
          [&](SynAckSent& state) {
            if (may_resend_syn(*flow, state.resends, turn)) {
              send_syn(*flow, state.our_isn, state.guest_next, turn.out);
            }
          },
          [&](SynSent& state) {
            if (flow->host_failed) {
              abort(*flow, policy::Outcome::kResetByHost, turn);
            } else if (may_resend_syn(*flow, state.resends, turn)) {
              send_syn(*flow, state.our_isn, std::nullopt, turn.out);
            }
          },
          [&](Relaying& state) {
            if (flow->watched != nullptr && turn.now >= flow->watched->until) {
              refuse(*flow, {policy::Verdict::kFirstBytesTimedOut}, turn);
            } else {
              timer_relaying(*flow, state, turn);
            }
          },
          [&](const Lingering&) { remove(flow->id, policy::Outcome::kClosed, turn); },
          [&](const HandedOver& state) {
            if (state.over) {
              remove(flow->id, policy::Outcome::kClosed, turn);
            } else if (turn.now - flow->active >= options_.idle_limit) {
              abort(*flow, policy::Outcome::kTimedOut, turn);
            } else {
              timers_.arm(flow->timer, flow->active + options_.idle_limit);
            }
          },
          [&](const Deciding&) { refuse(*flow, {policy::Verdict::kAskTimedOut}, turn); },
          [&](Gated& state) { timer_gated(*flow, state, turn); },
          [&](Refused& state) {
            const Refused::End end{flow->key, link_, flow->guest.mss};
            if (state.on_timer(end, turn.out) == Refused::Next::kGone) {
              remove(flow->id, policy::Outcome::kNotAccepted, turn);
            } else {
              timers_.arm(flow->timer, turn.now + kSynResend * (1 << state.resends));
            }
          },
      },
      flow->state);
}

// Else the flow is given up, and gone.
bool TcpFlows::may_resend_syn(TcpFlow& flow, std::uint8_t& resends, Turn turn) {
  if (resends == kSynResendsMax) {
    abort(flow, policy::Outcome::kTimedOut, turn);
    return false;
  }
  SLUICE_PROBE(retransmit, flow.id.index, 0, 0);
  timers_.arm(flow.timer, turn.now + kSynResend * (1 << ++resends));
  return true;
}

void TcpFlows::timer_relaying(TcpFlow& flow, Relaying& state, Turn turn) {
  Sender& tx = state.tx;
  if (turn.now - flow.active >= options_.idle_limit) {
    abort(flow, policy::Outcome::kTimedOut, turn);
    return;
  }
  if (flow.hand_over == HandOverStage::kWanted && turn.now >= flow.hand_over_until) {
    go_on_by_tap(flow, state, turn);
  }
  if (turn.now >= tx.resend_at) {
    const bool last_ack = state.rx.guest_finished && tx.fin_sent;
    const Duration patience = flow.host_failed ? kFailedPatience
                              : last_ack       ? kLastAckPatience
                                               : kPatience;
    if (turn.now - tx.progress_at >= patience) {
      abort(flow, policy::Outcome::kTimedOut, turn);
      return;
    }
    if (tx.all_acked()) {
      // A closed window: a segment from before it makes the guest say how things stand.
      send_control(flow, state, {tx.acked - 1, wire::kAck}, turn.out);
    } else {
      tx.time_out();
      repair(flow, state, turn.out);
    }
    tx.rtt.back_off();
    tx.resend_at = turn.now + tx.rtt.timeout();
    if (last_ack) tx.resend_at = std::min(tx.resend_at, tx.progress_at + kLastAckPatience);
  }
  if (turn.now >= state.rx.check_at) {
    state.rx.check_at = tx.fin_sent ? kNever : turn.now + kHalfClosedCheck;
    // A segment from before the window makes the guest say how things stand: its ACK, or the RST of
    // a kernel that has forgotten. What is in flight asks as well.
    if (!tx.fin_sent && tx.all_acked()) {
      send_control(flow, state, {tx.acked - 1, wire::kAck}, turn.out);
    }
  }
  Instant resume_at = kNever;
  if (flow.metered.any()) [[unlikely]] {
    if (turn.now >= tx.resume_at) request_data(flow, tx, turn);
    if (turn.now < tx.resume_at || flow.used_up) resume_at = tx.resume_at;
  }
  const Instant judged_by = flow.watched == nullptr ? kNever : flow.watched->until;
  timers_.arm(flow.timer, std::min({tx.resend_at, state.rx.check_at, flow.hand_over_until,
                                    judged_by, resume_at, flow.active + options_.idle_limit}));
}

[[gnu::cold]] void TcpFlows::on_host_error(TcpId id, HostError error, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr || flow->host_failed || !has_socket(flow->state) ||
      std::holds_alternative<HandedOver>(flow->state)) {
    return;
  }
  if (std::holds_alternative<Connecting>(flow->state)) {
    on_connect_failed(id, error, turn);
    return;
  }
  if (std::holds_alternative<Joining>(flow->state)) {
    abort(*flow, policy::Outcome::kResetByHost, turn);
    return;
  }
  flow->host_failed = error;
  flow->host_hung_up = flow->host_hung_up || error == HostError::kResetAfterEnd;
  flow->host_readable = true;
  // Nobody waits for the guest any more. What the client sent before its reset is the guest's if it
  // answers about as fast as kernels do.
  if (std::holds_alternative<SynSent>(flow->state)) timers_.arm(flow->timer, turn.now + kSynResend);
  Relaying* state = standing(*flow);
  // Before the guest has answered, or while a hand-over is asked for, this waits.
  if (state == nullptr || flow->hand_over == HandOverStage::kAsked) return;
  state->rx.buffered = 0;
  state->tx.progress_at = turn.now;
  if (flow->hand_over == HandOverStage::kWanted) {
    go_on_by_tap(*flow, *state, turn);
  } else {
    request_data(*flow, state->tx, turn);
  }
  end_failed(*flow, state->tx, turn);
}

[[gnu::cold]] void TcpFlows::on_socket_lost(TcpId id, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr || is_over(flow->state)) return;
  admission_.drops().count(DropReason::kTcpSocketLost);
  abort(*flow, policy::Outcome::kResetByHost, turn);
}

[[gnu::cold]] void TcpFlows::on_bytes_lost(TcpId id, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr || is_over(flow->state)) return;
  abort(*flow, policy::Outcome::kResetByGuest, turn);
}

// The host's side has failed: once the guest has all that came before, it is told.
[[gnu::cold]] void TcpFlows::end_failed(TcpFlow& flow, const Sender& tx, Turn turn) {
  if (!tx.end_seen || !tx.all_acked()) return;
  const bool timed_out = flow.host_failed == HostError::kTimedOut;
  abort(flow, timed_out ? policy::Outcome::kTimedOut : policy::Outcome::kResetByHost, turn);
}

// Resets both sides.
[[gnu::cold]] void TcpFlows::abort(TcpFlow& flow, policy::Outcome outcome, Turn turn) {
  std::visit(
      Overloaded{
          [](const Connecting&) {},  // The guest has no connection yet.
          [&](const SynAckSent& state) {
            send_reset(flow.key, state.our_isn + 1, state.guest_next, turn.out);
          },
          [&](const SynSent& state) {
            send_reset(flow.key, state.our_isn + 1, std::nullopt, turn.out);
          },
          [&](const Relaying& state) {
            send_reset(flow.key, state.tx.sent, state.rx.received, turn.out);
          },
          [](const Lingering&) {},
          [](const HandedOver&) {},  // The driver closes both sockets.
          [](const Joining&) {},
          [&](const Finding& state) {
            send_reset(flow.key, wire::SeqNum{0}, state.guest_isn + 1, turn.out);
          },
          [&](const Deciding& state) {
            // As where a policy of names refuses at once, and a reset behind it: a kernel
            // whose socket is in use just then does not end it by an error, and the SYN that
            // it sends again would be asked about again.
            if (outcome == policy::Outcome::kNotAccepted && admission_.has_judge()) {
              const FlowKey& key = flow.key;
              link_.send_error({.kind = IcmpErrorKind::kProhibited},
                               LostPacket::syn(key.guest, key.remote, state.guest_isn), turn);
            }
            send_reset(flow.key, wire::SeqNum{0}, state.guest_isn + 1, turn.out);
          },
          [&](const Gated& state) {
            send_reset(flow.key, state.relaying.tx.sent, state.relaying.rx.received, turn.out);
          },
          [&](const Refused& state) {
            send_reset(flow.key, state.next(), state.guest_next, turn.out);
          },
      },
      flow.state);
  if (has_socket(flow.state)) {
    // What a limit let through, it let through.
    turn.out.push(CloseTcp{
        .flow = flow.id,
        .reset = true,
        .at_once = outcome == policy::Outcome::kCutOff && flow.verdict != policy::Verdict::kQuota});
  }
  remove(flow.id, outcome, turn);
}

// The policy is another: it may have decided what was asked.
[[gnu::cold]] void TcpFlows::judge_waiting(TcpFlow& flow, Turn turn) {
  const Deciding wanted = std::get<Deciding>(flow.state);
  const Admitted admitted =
      admission_.judge_waiting(policy::Protocol::kTcp, flow.key.remote, turn.now);
  if (admitted.answer == Admitted::Answer::kRefused) {
    refuse(flow, {admitted.verdict}, turn);
    return;
  }
  // One that still waits counts for the rule that asks now.
  admission_.rename(flow.by, admitted.by);
  if (!keeps_its_limit(flow, admission_, turn.now)) {
    refuse(flow, {policy::Verdict::kQuota}, turn);
    return;
  }
  if (admitted.answer == Admitted::Answer::kAsked) return;
  flow.asked = false;
  admission_.answered();
  turn.out.push(WithdrawAsk{{wire::IpProtocol::kTcp, flow.id}});
  connect(flow, wanted, admitted.gate, turn);
}

[[gnu::cold]] void TcpFlows::judge_again(Turn turn) {
  flows_.for_each([&](SlabHandle handle, TcpFlow& flow) {
    // Who called a published port, or a listener of ours, was not judged at first either.
    if (is_over(flow.state) || ends_here(flow, targets_)) return;
    if (std::holds_alternative<Deciding>(flow.state)) {
      judge_waiting(flow, turn);
    } else if (!flow.inbound && !flow.by_loopback &&
               (!admission_.accepts_still(policy::Protocol::kTcp, flow.key.remote, flow.by,
                                          turn.now) ||
                !keeps_its_way(flow, admission_) ||
                (flow.way == nullptr &&
                 !admission_.accepts_target(policy::Protocol::kTcp, flow.by,
                                            targets_.as_guest_sees(flow.leads_to()))))) {
      cut_off(handle.index, policy::Verdict::kRevoked, turn);
    } else if (!keeps_its_limit(flow, admission_, turn.now)) {
      on_used_up(flow.id, turn);
    } else if (standing(flow) != nullptr && !std::exchange(flow.deferred, true)) {
      deferred_.push_back(flow.id);  // There may be more for it now.
    }
  });
}

[[gnu::cold]] void TcpFlows::on_used_up(TcpId id, Turn turn) {
  const TcpFlow* const flow = find(id);
  if (flow == nullptr || is_over(flow->state) || !flow->metered.any()) return;
  flow->metered.meter->note_ended();
  cut_off(id.index, policy::Verdict::kQuota, turn);
}

policy::Meter* TcpFlows::meter_of(TcpId id) const {
  const TcpFlow* const flow = flows_.find(id);
  return flow == nullptr ? nullptr : flow->metered.meter;
}

[[gnu::cold]] void TcpFlows::cut_off(std::uint32_t index, policy::Verdict why, Turn turn) {
  TcpFlow& flow = flows_.at(index);
  if (is_over(flow.state)) return;
  flow.verdict = admission_.refuse(why);
  // What waits for the host does not go there.
  if (const Relaying* const state = standing(flow)) {
    flow.bytes_to_host -= std::min<std::uint64_t>(flow.bytes_to_host, state->rx.buffered);
  }
  abort(flow, has_begun(flow.state) ? policy::Outcome::kCutOff : policy::Outcome::kNotAccepted,
        turn);
}

}  // namespace sluice::flow
