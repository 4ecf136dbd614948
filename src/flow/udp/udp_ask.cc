// UDP flows that wait for a verdict: the host hears nothing of them, and their first datagrams are
// kept. Let through they go out in their order; refused they are answered as by policy itself.
#include <utility>

#include "flow/udp/udp_flows.h"

namespace sluice::flow {

std::uint32_t UdpFlows::begin_asking(const FlowKey& key, const wire::Endpoint& target,
                                     const NamedBy& by, Turn turn) {
  const std::uint32_t index = create(key, target, UdpId{}, turn.now);
  Flow& flow = flows_.at(index);
  flow.held = std::make_unique<HeldDatagrams>();
  flow.standing = Standing::kAsked;
  flow.by = by;
  timers_.arm(flow.timer, turn.now + admission_.ask().answer_within);
  turn.out.push(AskPolicy{.flow = id_of(index), .key = key, .by = by});
  return index;
}

void UdpFlows::on_verdict(SlabHandle handle, const Ruling& ruling, Turn turn) {
  Flow* flow = flows_.find(handle);
  if (flow == nullptr || flow->held == nullptr || ruling.stage != AskStage::kNewFlow) return;
  admission_.answered();
  flow->standing = Standing::kConfirmed;  // It waits no longer.
  if (ruling.verdict == policy::Verdict::kAccepted) {
    flow->by.approved = true;
    let_through(handle.index, turn);
  } else {
    refuse(handle.index, ruling.verdict, turn);
  }
}

void UdpFlows::let_through(std::uint32_t index, Turn turn) {
  Flow& flow = flows_.at(index);
  if (flow.by_name()) {
    find_target(index, turn);
    return;
  }
  flow.socket = socket_for(flow.key.guest, turn.out);
  ++sockets_.at(flow.socket.index).flows;
  send_held(index, turn);
}

// It has its socket.
void UdpFlows::send_held(std::uint32_t index, Turn turn) {
  Flow& flow = flows_.at(index);
  flow.active = turn.now;
  turn.out.tell_opening(flow);
  timers_.arm(flow.timer, turn.now + kUnanswered);
  const bool published = flow.side == policy::FlowSide::kInboundDatagram;
  const bool once = flow.held->batches().size() == 1;
  set_standing(index, published ? Standing::kUnanswered
                      : once    ? Standing::kAskedOnce
                                : Standing::kConfirmed);
  for (const HeldDatagrams::Batch& batch : flow.held->batches()) {
    ByteView bytes = batch.bytes;
    if (flow.metered.any()) [[unlikely]] {
      const DatagramsMetered metered = meter_datagrams(flow.metered.meter->to_host(), bytes.size(),
                                                       batch.segment_size, turn.now);
      // Where a quota does not hold them, the next one ends the flow.
      admission_.drops().count(DropReason::kOverRate, metered.dropped);
      if (!metered.all_pass() && metered.bytes == 0) continue;
      bytes = bytes.first(metered.bytes);
    }
    flow.bytes_to_host += bytes.size();
    turn.out.push(SendUdp{.socket = flow.socket,
                          .target = flow.target,
                          .payload = bytes,
                          .segment_size = batch.segment_size,
                          .hop_limit = batch.hop_limit,
                          .local = flow.local});
  }
  parting_.push_back(std::move(flow.held));
}

[[gnu::cold]] void UdpFlows::refuse(std::uint32_t index, policy::Verdict verdict, Turn turn) {
  Flow& flow = flows_.at(index);
  flow.verdict = admission_.refuse(verdict);
  const auto& batches = flow.held->batches();
  link_.send_error({.kind = IcmpErrorKind::kProhibited},
                   {.protocol = wire::IpProtocol::kUdp,
                    .guest = flow.key.guest,
                    .remote = flow.key.remote,
                    .payload = batches.empty() ? ByteView{} : ByteView(batches.front().bytes)},
                   turn);
  remove(index, policy::Outcome::kNotAccepted, turn);
}

// The policy is another: it may have decided what was asked.
[[gnu::cold]] void UdpFlows::judge_waiting(std::uint32_t index, Turn turn) {
  Flow& flow = flows_.at(index);
  const Admitted admitted =
      admission_.judge_waiting(policy::Protocol::kUdp, flow.key.remote, turn.now);
  if (admitted.answer == Admitted::Answer::kRefused) {
    refuse(index, admitted.verdict, turn);
    return;
  }
  // One that still waits counts for the rule that asks now.
  admission_.rename(flow.by, admitted.by);
  if (!admission_.move_to_meter(flow.metered, admission_.meters().of(flow.by.rule))) {
    refuse(index, policy::Verdict::kQuota, turn);
    return;
  }
  if (admitted.answer == Admitted::Answer::kAsked) return;
  admission_.answered();
  turn.out.push(WithdrawAsk{id_of(index)});
  flow.standing = Standing::kConfirmed;  // It waits no longer.
  let_through(index, turn);
}

[[gnu::cold]] void UdpFlows::cut_off(std::uint32_t index, policy::Verdict why, Turn turn) {
  Flow& flow = flows_.at(index);
  if (flow.held != nullptr) {
    refuse(index, why, turn);
    return;
  }
  flow.verdict = admission_.refuse(why);
  remove(index, policy::Outcome::kCutOff, turn);
}

}  // namespace sluice::flow
