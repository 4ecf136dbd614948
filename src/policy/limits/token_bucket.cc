#include "policy/limits/token_bucket.h"

#include <algorithm>

namespace sluice::policy {
namespace {

constexpr std::uint64_t kNanosPerSecond = 1'000'000'000;
constexpr std::uint64_t kBurstsPerSecond = 20;  // 50 ms each
constexpr std::uint64_t kBurstMin = 4096;
// Positions wrap, so a distance means debt or credit only by its size. Debt comes from what was
// taken at once, credit from idle time, which may be long: most of the circle is credit.
constexpr std::uint64_t kDebtMax = std::uint64_t{1} << 60;
// What one take() may add to the debt: more than any read or write returns (2 GiB).
constexpr std::uint64_t kTakeMax = std::uint64_t{1} << 40;

__extension__ using Wide = unsigned __int128;

}  // namespace

TokenBucket::TokenBucket(std::uint64_t bytes_per_second)
    : rate_(std::clamp<std::uint64_t>(bytes_per_second, 1, kRateMax)),
      burst_(std::max(kBurstMin, rate_ / kBurstsPerSecond)),
      taken_(0 - burst_) {}

// rate * now / 10^9 without 128 bits: whole seconds, then the rest with the rate in two parts, each
// product below 2^51. The two roundings never add up beyond a byte or two, and never run backwards.
std::uint64_t TokenBucket::position_at(Instant now) const {
  const auto nanos = static_cast<std::uint64_t>(now.time_since_epoch().count());
  const std::uint64_t seconds = nanos / kNanosPerSecond;
  const std::uint64_t rest = nanos % kNanosPerSecond;
  return seconds * rate_ + rate_ / 1'000'000 * rest / 1'000 +
         rate_ % 1'000'000 * rest / kNanosPerSecond;
}

std::int64_t TokenBucket::balance(std::uint64_t taken, Instant now) const {
  const std::uint64_t position = position_at(now);
  const std::uint64_t debt = taken - position;
  if (debt <= kDebtMax) return -static_cast<std::int64_t>(debt);
  // Beyond the burst the amount no longer matters, only that it is positive.
  return static_cast<std::int64_t>(std::min(position - taken, kDebtMax));
}

std::size_t TokenBucket::available(Instant now) const {
  const std::int64_t there = balance(taken_.load(std::memory_order_relaxed), now);
  return std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(there, 0)), burst_);
}

void TokenBucket::take(std::size_t bytes, Instant now) {
  const std::uint64_t position = position_at(now);
  std::uint64_t taken = taken_.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    const std::int64_t there = balance(taken, now);
    // A debt that no sane rate can have: further bytes are for free rather than wrap into credit.
    if (there < -static_cast<std::int64_t>(kDebtMax - kTakeMax)) return;
    const bool overflowing = there > static_cast<std::int64_t>(burst_);
    next = (overflowing ? position - burst_ : taken) + std::min<std::uint64_t>(bytes, kTakeMax);
  } while (!taken_.compare_exchange_weak(taken, next, std::memory_order_relaxed));
}

Instant TokenBucket::ready_at(Instant now) const {
  const std::int64_t there = balance(taken_.load(std::memory_order_relaxed), now);
  const auto useful = static_cast<std::int64_t>(burst_ / 4);
  if (there >= useful) return now;
  // A byte more makes up for what position_at() rounds away; only rates above 1 MB/s need it.
  const std::uint64_t rounding = rate_ >= 1'000'000 ? 1 : 0;
  const Wide missing = static_cast<std::uint64_t>(useful - there) + rounding;
  const Wide nanos = (missing * kNanosPerSecond + rate_ - 1) / rate_;
  const auto room = static_cast<Wide>((kNever - std::max(now, Instant{})).count());
  if (nanos >= room) return kNever;
  return now + Duration(static_cast<std::int64_t>(nanos));
}

bool TokenBucket::full(Instant now) const {
  const std::int64_t there = balance(taken_.load(std::memory_order_relaxed), now);
  return there >= static_cast<std::int64_t>(burst_);
}

}  // namespace sluice::policy
