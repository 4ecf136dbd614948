#include "policy/limits/limits.h"

#include <algorithm>

namespace sluice::policy {

void FlowLimits::slide_to(Instant now) {
  const std::int64_t slice = now.time_since_epoch() / kSlice;
  const std::int64_t ahead = slice - newest_slice_;
  if (ahead <= 0) return;
  const auto steps = std::min<std::uint64_t>(static_cast<std::uint64_t>(ahead), kSlices);
  for (std::uint64_t i = 0; i < steps; ++i) {
    ring_ = (ring_ + 1) % kSlices;
    in_window_ -= slices_[ring_];
    slices_[ring_] = 0;
  }
  newest_slice_ = slice;
}

Verdict FlowLimits::admit(Instant now) {
  if (options_.max_flows != 0 && active_ >= options_.max_flows) return Verdict::kTooManyFlows;
  if (options_.new_flows_per_second != 0) {
    slide_to(now);
    if (in_window_ >= options_.new_flows_per_second) return Verdict::kTooManyNewFlows;
    ++slices_[ring_];
    ++in_window_;
  }
  ++active_;
  return Verdict::kAccepted;
}

void FlowLimits::released() {
  if (active_ == 0) unreachable("a flow was released that was not admitted");
  --active_;
}

}  // namespace sluice::policy
