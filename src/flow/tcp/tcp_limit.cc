// Limits on what flows carry (policy/limits/meter.h). What goes to the host is claimed by whoever
// hands it to the socket, and waits there; what comes from the host is claimed here, before it is
// looked at.
#include <algorithm>
#include <utility>

#include "flow/tcp/tcp_flows.h"

namespace sluice::flow {

// Zero: not now. The flow has a timer then, and is not gone: who calls goes on with it.
[[gnu::cold]] std::uint32_t TcpFlows::claim_from_host(TcpFlow& flow, Sender& tx,
                                                      std::uint32_t wanted, Instant now) {
  if (flow.metered.over || flow.used_up || now < tx.resume_at) return 0;
  policy::Lane& lane = flow.metered.meter->from_host();
  tx.claimed = static_cast<std::uint32_t>(lane.claim(wanted, now));
  if (tx.claimed != 0) return tx.claimed;
  flow.used_up = lane.used_up();
  tx.resume_at = flow.used_up ? now : lane.ready_at(now);
  arm(flow, tx.resume_at);
  return 0;
}

[[gnu::cold]] void TcpFlows::settle_from_host(TcpFlow& flow, Sender& tx, std::size_t used,
                                              Instant now) {
  flow.metered.meter->from_host().settle(std::exchange(tx.claimed, 0), used, now);
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

// Its first bytes may have shown that another rule lets it through.
[[gnu::cold]] std::optional<Refusal> TcpFlows::refused_by_limit(TcpFlow& flow, Gated& state,
                                                                bool http, Instant now) {
  if (state.relaying.tx.claimed != 0) settle_from_host(flow, state.relaying.tx, 0, now);
  if (admission_.enter_meter(flow.metered, admission_.meters().of(flow.by.rule))) {
    return std::nullopt;
  }
  const RefusalWords words =
      claims_->words_of({.verdict = policy::Verdict::kQuota, .by = flow.by});
  return refusal_of_limit(http, words);
}

// After a change of the policy. False: nothing is left for it.
[[gnu::cold]] bool TcpFlows::keeps_its_limit(TcpFlow& flow, Instant now) {
  if (flow.metered.over) return true;  // It is told with its first bytes.
  Relaying* const state = standing(flow);
  if (state != nullptr) {
    if (state->tx.claimed != 0) settle_from_host(flow, state->tx, 0, now);
    // It may be that there is more for it now.
    state->tx.resume_at = now;
    arm(flow, now);
  }
  flow.used_up = false;
  const policy::MeterTable& meters = admission_.meters();
  return admission_.move_to_meter(flow.metered,
                                  flow.inbound ? meters.of_run() : meters.of(flow.by.rule));
}

}  // namespace sluice::flow
