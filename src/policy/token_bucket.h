// A rate in bytes a second that several threads draw from, without a lock.
//
// A virtual clock (the generic cell rate algorithm): each byte moves it on by 1 / rate seconds, and
// it never lags behind real time by more than the burst. Taking more than is there is allowed: the
// debt is paid before anyone gets more. Time is an argument.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace sluice::policy {

class TokenBucket {
 public:
  // `bytes_per_second` above zero. The burst is what the rate gives in 50 ms, 4 KiB at least.
  explicit TokenBucket(std::uint64_t bytes_per_second);

  // How many bytes may pass at `now`; zero while in debt.
  [[nodiscard]] std::size_t available(Instant now) const;
  void take(std::size_t bytes, Instant now);
  // When a useful amount will be there: a quarter of the burst.
  [[nodiscard]] Instant ready_at(Instant now) const;

 private:
  std::uint64_t rate_;
  std::int64_t burst_ns_;
  std::atomic<std::int64_t> empty_at_ns_{0};  // The virtual clock.
};

}  // namespace sluice::policy
