#include "flow/tcp/tcp_flows.h"

#include <array>
#include <cstring>

#include "base/overloaded.h"
#include "trace/probe.h"

namespace sluice::flow {
namespace {

constexpr Duration kLinger = std::chrono::seconds(1);

}  // namespace

TcpFlows::TcpFlows(const FlowContext& context, const SipKey& isn_key,
                   const TcpFlowsOptions& options)
    : link_(context.link),
      admission_(context.admission),
      targets_(context.targets),
      share_(context.share),
      timers_(context.timers),
      timer_kind_(context.timer_kind),
      isn_key_(isn_key),
      options_(options),
      table_(context.table_secret) {
  touched_.reserve(256);
  ending_.reserve(256);
  deferred_.reserve(256);
  resuming_.reserve(256);
}

TcpFlows::~TcpFlows() = default;

const TcpFlow* TcpFlows::find(const FlowKey& key) const {
  const std::uint32_t index = index_of(key);
  return index == FlowTable::kNone ? nullptr : &flows_.at(index);
}

TcpFlow& TcpFlows::create(const FlowKey& key, TcpId& id, Instant now) {
  id = TcpId{flows_.emplace(key)};
  table_.insert(key, id.index);
  TcpFlow& flow = flows_.at(id.index);
  flow.id = id;
  flow.timer.set_owner((std::uint64_t{timer_kind_} << 32) | id.index);
  flow.opened = now;
  flow.active = now;
  flow.moved = now;
  SLUICE_PROBE(flow_created, id.index, key.guest.port.value, key.remote.port.value);
  return flow;
}

void TcpFlows::arm(TcpFlow& flow, Instant deadline) {
  // A timer that fires early looks at its flow and arms itself again, which is cheaper than
  // moving it with every segment.
  if (flow.timer.armed() && flow.timer.deadline() <= deadline) return;
  timers_.arm(flow.timer, deadline);
}

// RFC 9293, 3.4.1: a keyed hash of the connection plus a clock of 4 microseconds.
wire::SeqNum TcpFlows::initial_sequence(const FlowKey& key, Instant now) const {
  std::array<std::uint8_t, 36> bytes{};
  std::memcpy(bytes.data(), key.guest.address.octets().data(), 16);
  std::memcpy(bytes.data() + 16, key.remote.address.octets().data(), 16);
  std::memcpy(bytes.data() + 32, &key.guest.port.value, 2);
  std::memcpy(bytes.data() + 34, &key.remote.port.value, 2);
  const auto clock = static_cast<std::uint64_t>(now.time_since_epoch().count()) / 4000;
  return wire::SeqNum{static_cast<std::uint32_t>(siphash(isn_key_, bytes) + clock)};
}

// The flow counts no longer, and is told about.
void TcpFlows::report(const TcpFlow& flow, policy::Outcome outcome, Turn turn) {
  admission_.released(flow.inbound ? policy::FlowSide::kInboundStream : policy::FlowSide::kOutbound,
                      flow.by, flow.metered);
  FlowSummary summary = ended_flow(flow, outcome, turn.now);
  summary.carried = !flow.by_loopback && std::holds_alternative<HandedOver>(flow.state);
  turn.out.push(ReportFlow{summary});
}

// Reports the flow and frees it. A flow that lingers was reported when its last byte was through.
void TcpFlows::remove(TcpId id, policy::Outcome outcome, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  if (is_over(flow->state)) {
    const bool refused = std::holds_alternative<Refused>(flow->state);
    --(refused ? refused_ : std::holds_alternative<Lingering>(flow->state) ? lingering_ : over_);
  } else {
    SLUICE_PROBE(flow_closed, id.index, static_cast<std::uint8_t>(outcome), 0);
    report(*flow, outcome, turn);
  }
  if (Relaying* state = standing(*flow)) {
    spill_.promise(state->rx.promised, 0);
    if (state->tx.claimed != 0) [[unlikely]]
      settle_from_host(*flow, state->tx, 0, turn.now);
  }
  if (flow->kept != nullptr || flow->watched != nullptr) release_kept(*flow);
  if (auto* refused = std::get_if<Refused>(&flow->state))
    parting_.push_back(std::move(refused->answer));
  if (flow->asked) [[unlikely]] {
    if (std::holds_alternative<Deciding>(flow->state)) admission_.answered();
    turn.out.push(WithdrawAsk{{wire::IpProtocol::kTcp, id}});
  }
  if (!flow->by_loopback && std::holds_alternative<HandedOver>(flow->state))
    turn.out.push(ReleaseTcp{flow->key.guest, flow->key.remote});
  table_.erase(flow->key, id.index);
  flows_.erase(id);
}

[[gnu::noinline]] void TcpFlows::on_segment(const wire::IpPacketView& packet,
                                            const wire::TcpView& segment, Turn turn) {
  const FlowKey key{{packet.source, segment.source_port()},
                    {packet.destination, segment.destination_port()},
                    wire::IpProtocol::kTcp};
  const std::uint32_t index = index_of(key);
  // The header itself stands for the values that a USDT script may want of it.
  SLUICE_PROBE_VALUES(frame_in, index, packet.payload.size(), packet.payload.data(),
                      segment.payload().size(), segment.flags().bits);
  const TcpArrival arrival{packet, segment};
  if (index == FlowTable::kNone) {
    if (!targets_.network().services.tcp) {
      admission_.drops().count(DropReason::kProtocolDisabled);
      return;
    }
    const wire::TcpFlags flags = segment.flags();
    if (flags.syn() && !flags.ack() && !flags.rst()) {
      on_syn(key, arrival, turn);
    } else {
      on_unknown(key, segment, turn.out);
    }
    return;
  }
  TcpFlow& flow = flows_.at(index);
  flow.lull = turn.now - flow.active;
  flow.active = turn.now;
  // Each state says for itself what a segment means in it.
  std::visit(
      Overloaded{
          [&](Connecting& state) { segment_unanswered(flow, state.guest_isn, arrival, turn); },
          [&](SynAckSent& state) { segment_syn_ack_sent(flow, state, arrival, turn); },
          [&](SynSent& state) { segment_syn_sent(flow, state, segment, turn); },
          [&](Relaying& state) {
            if (flow.hand_over == HandOverStage::kAsked) [[unlikely]] {
              divert(flow, packet, turn.out);
            } else {
              segment_relaying(flow, state, segment, turn);
            }
          },
          [&](Lingering& state) { segment_lingering(flow, state, arrival, turn); },
          [&](HandedOver& state) { segment_handed_over(flow, state, arrival, turn); },
          [&](Deciding& state) { segment_unanswered(flow, state.guest_isn, arrival, turn); },
          [&](Finding& state) { segment_unanswered(flow, state.guest_isn, arrival, turn); },
          // A repeat of what the guest's address said before its loopback was called.
          [&](Joining&) { admission_.drops().count(DropReason::kTcpUnknownFlow); },
          [&](Gated& state) { segment_relaying(flow, state.relaying, segment, turn); },
          [&](Refused& state) {
            switch (state.on_segment({flow.key, link_, flow.guest.mss}, segment, turn.out)) {
              case Refused::Next::kStays: break;
              case Refused::Next::kClosed: timers_.arm(flow.timer, turn.now + kLinger); break;
              case Refused::Next::kGone:
                remove(flow.id, policy::Outcome::kNotAccepted, turn);
                break;
              case Refused::Next::kReopened: reopen(flow, arrival, turn); break;
            }
          },
      },
      flow.state);
}

void TcpFlows::end_burst(BurstEnd end, Turn turn) {
  burst_end_ = end;
  if (!parting_.empty()) [[unlikely]]
    parting_.clear();
  if (touched_.empty()) return;
  ending_.swap(touched_);
  for (const std::uint32_t index : ending_) {
    // A flow may have ended within the burst, and its place be another's by now.
    TcpFlow* flow = flows_.find(flows_.handle_of(index));
    if (flow == nullptr || !flow->touched) continue;
    flow->touched = false;
    end_flow_burst(*flow, turn);
  }
  ending_.clear();
}

void TcpFlows::run_deferred(Turn turn) {
  resuming_.swap(deferred_);
  for (const TcpId id : resuming_) {
    TcpFlow* flow = find(id);
    if (flow == nullptr) continue;
    flow->deferred = false;
    if (Relaying* state = standing(*flow)) request_data(*flow, state->tx, turn);
  }
  resuming_.clear();
}

bool TcpFlows::defer(const PeekTcp& action) {
  TcpFlow* flow = find(action.flow);
  if (flow == nullptr) return false;
  Relaying* state = standing(*flow);
  if (state == nullptr || !state->tx.peek_pending || action.sequence != state->tx.sent) {
    return false;
  }
  state->tx.peek_pending = false;
  if (flow->metered.any()) [[unlikely]]
    settle_from_host(*flow, state->tx, 0, flow->active);
  flow->deferred = true;
  deferred_.push_back(action.flow);
  return true;
}

// Both directions are through: a repeat of the guest's FIN may still come.
void TcpFlows::finish_if_done(TcpFlow& flow, Relaying& state, Turn turn) {
  if (flow.host_failed) [[unlikely]] {
    end_failed(flow, state.tx, turn);
    return;
  }
  if (!state.rx.host_shut || !state.tx.fin_sent || !state.tx.all_acked()) {
    if (state.rx.host_shut && !state.tx.fin_sent && state.rx.check_at == kNever) {
      state.rx.check_at = turn.now + kHalfClosedCheck;
      arm(flow, state.rx.check_at);
    }
    return;
  }
  discard_acked(flow, state.tx, turn.out);
  turn.out.push(CloseTcp{flow.id});
  constexpr std::size_t kLingeringMax = 1024;
  if (lingering_ >= kLingeringMax) {
    remove(flow.id, policy::Outcome::kClosed, turn);
    return;
  }
  SLUICE_PROBE(flow_closed, flow.id.index, static_cast<std::uint8_t>(policy::Outcome::kClosed), 0);
  report(flow, policy::Outcome::kClosed, turn);
  spill_.promise(state.rx.promised, 0);
  const Lingering lingering{state.rx.received, state.tx.sent};
  flow.state = lingering;
  ++lingering_;
  timers_.arm(flow.timer, turn.now + kLinger);
}

}  // namespace sluice::flow
