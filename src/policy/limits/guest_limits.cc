#include "policy/limits/guest_limits.h"

namespace sluice::policy {
namespace {

[[nodiscard]] bool is_full(const FlowLimits& limits) {
  const std::uint32_t bound = limits.options().max_flows;
  return bound != 0 && limits.active() >= bound;
}

}  // namespace

bool GuestLimits::has_room(FlowSide side) const {
  if (is_full(all_)) return false;
  if (side == FlowSide::kOutbound) return true;
  return !is_full(inbound_) && !(side == FlowSide::kInboundStream && is_full(streams_));
}

Verdict GuestLimits::admit(FlowSide side, Instant now) {
  if (!has_room(side)) return Verdict::kTooManyFlows;
  if (side == FlowSide::kOutbound) return all_.admit(now);
  if (const Verdict verdict = inbound_.admit(now); verdict != Verdict::kAccepted) return verdict;
  if (const Verdict verdict = all_.admit(now); verdict != Verdict::kAccepted) {
    inbound_.released();
    return verdict;
  }
  return side == FlowSide::kInboundStream ? streams_.admit(now) : Verdict::kAccepted;
}

void GuestLimits::released(FlowSide side) {
  all_.released();
  if (side == FlowSide::kOutbound) return;
  inbound_.released();
  if (side == FlowSide::kInboundStream) streams_.released();
}

}  // namespace sluice::policy
