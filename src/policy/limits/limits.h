// Bounds on the flows of one guest: how many at a time, and how many new ones in a second.
//
// Not thread-safe; a worker owns its own.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"
#include "policy/verdict.h"

namespace sluice::policy {

// Zero means "no bound".
struct LimitOptions {
  // A flow costs a descriptor and at most 1 KiB of ours, so this default is 64 MiB and an eighth
  // of the 524,288 descriptors that systemd grants a process. It is more than twice the 28,232
  // ephemeral ports from which a Linux guest opens connections to any one target.
  std::uint32_t max_flows = 65'536;
  // Off by default: max_flows already bounds what we hold, and a burst of new connections is what
  // browsers and test suites do. It is meant for guests that one does not trust.
  std::uint32_t new_flows_per_second = 0;
};

class FlowLimits {
 public:
  explicit FlowLimits(const LimitOptions& options) : options_(options) {}

  // kAccepted, which counts the flow until released(); else kTooManyFlows or kTooManyNewFlows,
  // which count nothing. `now` must not go backwards; if it does, it is taken as standing still.
  [[nodiscard]] Verdict admit(Instant now);
  // A flow that was admitted has ended.
  void released();

  [[nodiscard]] std::uint32_t active() const { return active_; }
  [[nodiscard]] const LimitOptions& options() const { return options_; }

 private:
  // The last second is counted in slices. The window holds one slice more than a second, so no
  // second ever sees more than the limit; a flow weighs for 1/64 s longer than it must.
  static constexpr std::size_t kSlicesPerSecond = 64;
  static constexpr Duration kSlice = Duration{std::chrono::seconds{1}} / kSlicesPerSecond;
  static constexpr std::size_t kSlices = kSlicesPerSecond + 1;

  void slide_to(Instant now);

  LimitOptions options_;
  std::uint32_t active_ = 0;
  std::uint32_t in_window_ = 0;
  std::int64_t newest_slice_ = 0;
  std::size_t ring_ = 0;  // Position of the newest slice.
  std::array<std::uint32_t, kSlices> slices_{};
};

}  // namespace sluice::policy
