#include "policy/limits/meter.h"

#include <algorithm>

namespace sluice::policy {
namespace {

// Others hold what is left for a moment, and may give some of it back.
constexpr Duration kOthersHoldIt = std::chrono::milliseconds(1);

}  // namespace

Lane::Lane(Passed& passed, const TrafficLimit::Way& limit, Lane* outer)
    : passed_(&passed), bytes_(limit.bytes), outer_(outer) {
  if (limit.rate != 0) bucket_.emplace(limit.rate);
}

// Counts them where there is no quota, too: one may be set later.
std::size_t Lane::hold(std::size_t wanted) {
  std::uint64_t claimed = passed_->claimed.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t left = bytes_ > claimed ? bytes_ - claimed : 0;
    const std::uint64_t granted = bytes_ == 0 ? wanted : std::min<std::uint64_t>(wanted, left);
    if (granted == 0) return 0;
    if (passed_->claimed.compare_exchange_weak(claimed, claimed + granted,
                                               std::memory_order_relaxed)) {
      return granted;
    }
  }
}

std::size_t Lane::claim(std::size_t wanted, Instant now) {
  if (bucket_) wanted = std::min(wanted, bucket_->available(now));
  const std::size_t held = hold(wanted);
  if (held == 0 || outer_ == nullptr) return held;
  const std::size_t granted = outer_->claim(held, now);
  passed_->claimed.fetch_sub(held - granted, std::memory_order_relaxed);
  return granted;
}

void Lane::settle(std::size_t claimed, std::size_t used, Instant now) {
  passed_->claimed.fetch_add(std::uint64_t{used} - claimed, std::memory_order_relaxed);
  passed_->used.fetch_add(used, std::memory_order_relaxed);
  if (bucket_ && used != 0) bucket_->take(used, now);
  if (outer_ != nullptr) outer_->settle(claimed, used, now);
}

Lane::Pass Lane::pass(std::size_t bytes, Instant now) {
  if (bucket_ && bucket_->available(now) == 0) return Pass::kOverRate;
  const std::size_t held = hold(bytes);
  const Pass outer = held == bytes && outer_ != nullptr ? outer_->pass(bytes, now) : Pass::kPasses;
  if (held < bytes || outer != Pass::kPasses) {
    passed_->claimed.fetch_sub(held, std::memory_order_relaxed);
    return held < bytes ? Pass::kUsedUp : outer;
  }
  passed_->used.fetch_add(bytes, std::memory_order_relaxed);
  if (bucket_) bucket_->take(bytes, now);
  return Pass::kPasses;
}

bool Lane::used_up() const {
  const bool own = bytes_ != 0 && passed_->used.load(std::memory_order_relaxed) >= bytes_;
  return own || (outer_ != nullptr && outer_->used_up());
}

bool Lane::has_rate() const {
  return bucket_.has_value() || (outer_ != nullptr && outer_->has_rate());
}

Instant Lane::ready_at(Instant now) const {
  Instant at = now + kOthersHoldIt;
  if (bucket_) at = std::max(at, bucket_->ready_at(now));
  if (outer_ != nullptr) at = std::max(at, outer_->ready_at(now));
  return at;
}

bool Meter::enter() {
  if (!used_up()) {
    std::uint32_t flows = use_->flows.load(std::memory_order_relaxed);
    while (limit_.flows == 0 || flows < limit_.flows) {
      if (use_->flows.compare_exchange_weak(flows, flows + 1, std::memory_order_relaxed)) {
        return true;
      }
    }
  }
  use_->refused.fetch_add(1, std::memory_order_relaxed);
  return false;
}

}  // namespace sluice::policy
