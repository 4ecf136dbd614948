// A rate in bytes a second that several threads draw from, without a lock.
//
// A virtual clock (the generic cell rate algorithm) that counts in bytes: real time moves on by
// `rate` bytes a second, taking a byte moves the bucket's clock on by one, and that never lags
// behind real time by more than the burst. Counting bytes and not time keeps it exact at any rate.
// Taking more than is there is allowed: the debt is paid before anyone gets more. Time is an
// argument; threads may come with slightly different ones.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace sluice::policy {

class TokenBucket {
 public:
  // More than this, 1.1 TB/s, is taken as this: positions in bytes, which wrap, stay apart for
  // half a year then.
  static constexpr std::uint64_t kRateMax = std::uint64_t{1} << 40;

  // `bytes_per_second` above zero. The burst is what the rate gives in 50 ms, 4 KiB at least.
  explicit TokenBucket(std::uint64_t bytes_per_second);

  // How many bytes may pass at `now`; zero while in debt.
  [[nodiscard]] std::size_t available(Instant now) const;
  void take(std::size_t bytes, Instant now);
  // When a useful amount will be there: a quarter of the burst. kNever: in more than 292 years.
  [[nodiscard]] Instant ready_at(Instant now) const;
  // The whole burst is there: the bucket is as if nothing had ever been taken.
  [[nodiscard]] bool full(Instant now) const;

 private:
  // Bytes that the rate gave until `now`, modulo 2^64.
  [[nodiscard]] std::uint64_t position_at(Instant now) const;
  // What is there; negative in debt. Not bounded by the burst.
  [[nodiscard]] std::int64_t balance(std::uint64_t taken, Instant now) const;

  std::uint64_t rate_;
  std::uint64_t burst_;
  std::atomic<std::uint64_t> taken_;  // The virtual clock, in bytes.
};

}  // namespace sluice::policy
