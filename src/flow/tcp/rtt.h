// Retransmission timeout (RFC 6298), with the minimum that Linux uses: the link is a queue in
// memory, so a whole second would only delay repair.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace sluice::flow {

class RttEstimator {
 public:
  static constexpr Duration kInitial = std::chrono::seconds(1);
  static constexpr Duration kMin = std::chrono::milliseconds(200);
  static constexpr Duration kMax = std::chrono::seconds(60);

  void sample(Duration rtt) {
    const auto us = static_cast<std::int32_t>(
        std::min<Duration::rep>(rtt / std::chrono::microseconds(1), 60'000'000));
    if (smoothed_us_ == 0) {
      smoothed_us_ = std::max(us, 1);
      variance_us_ = us / 2;
    } else {
      const std::int32_t error = us - smoothed_us_;
      variance_us_ += ((error < 0 ? -error : error) - variance_us_) / 4;
      smoothed_us_ = std::max(smoothed_us_ + error / 8, 1);
    }
    backoff_ = 0;
  }
  void back_off() { backoff_ = static_cast<std::uint8_t>(std::min(backoff_ + 1, 12)); }
  void progress() { backoff_ = 0; }

  [[nodiscard]] Duration timeout() const {
    const Duration base =
        smoothed_us_ == 0
            ? kInitial
            : std::max<Duration>(std::chrono::microseconds(smoothed_us_ + 4 * variance_us_), kMin);
    return std::min<Duration>(base * (std::int64_t{1} << backoff_), kMax);
  }

 private:
  std::int32_t smoothed_us_ = 0;  // 0: no sample yet.
  std::int32_t variance_us_ = 0;
  std::uint8_t backoff_ = 0;
};

}  // namespace sluice::flow
