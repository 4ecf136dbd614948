#include "flow/engine/explained_flows.h"

#include <algorithm>
#include <vector>

namespace sluice::flow {

void ExplainedFlows::connect(TcpId id, Turn turn) {
  if (ends_.size() >= kFlowsMax) {
    flows_.on_connect_failed(id, HostError::kProhibited, turn);
    return;
  }
  const Instant until = turn.now + kPatience;
  next_check_ = ends_.empty() ? until : std::min(next_check_, until);
  ends_.insert_or_assign(id.index, End{id, until});
  flows_.on_connected(id, KeptBytes::kMax, turn);
}

// The policy has changed since, and lets it through. The guest has to begin anew, as its address
// leads elsewhere now.
void ExplainedFlows::write(const WriteTcp& action, Turn turn) {
  flows_.cut_off(action.flow.index, policy::Verdict::kRevoked, turn);
}

void ExplainedFlows::peek(const PeekTcp& action, Turn turn) {
  flows_.on_peeked(action.flow, {action.sequence, PeekStatus::kWouldBlock, {}, false}, turn);
}

void ExplainedFlows::on_timer(Turn turn) {
  std::vector<TcpId> late;
  next_check_ = kNever;
  for (const auto& [index, end] : ends_) {
    if (end.until <= turn.now) {
      late.push_back(end.id);
    } else {
      next_check_ = std::min(next_check_, end.until);
    }
  }
  for (const TcpId id : late) flows_.give_up(id, turn);
}

}  // namespace sluice::flow
