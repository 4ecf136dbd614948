#include "telemetry/refusal_rate.h"

#include <algorithm>
#include <utility>

namespace sluice::telemetry {

bool RefusalRate::admit(std::size_t reason, Time now) {
  Bucket& bucket = buckets_[reason];
  const Accepted limits = reason == kMadeRoom ? accepted_ : Accepted{};
  const Time::duration one = kSecond / limits.per_second;
  bucket.empty_at = std::max(bucket.empty_at, now - one * limits.burst);
  if (now - bucket.empty_at < one) {
    ++bucket.left_out;
    return false;
  }
  bucket.empty_at += one;
  return true;
}

std::uint64_t RefusalRate::take_left_out(std::size_t reason) {
  return std::exchange(buckets_[reason].left_out, 0);
}

}  // namespace sluice::telemetry
