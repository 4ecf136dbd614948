// Whether this machine's KVM is fit for a box, before one is built.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>

#include "base/time.h"
#include "box/kvm/kvm_calls.h"
#include "sys/setup_error.h"

namespace sluice::box {

// What the loop of the check executes in the guest's ring 0, and the most that it may take. Real
// processors need some 10 µs with the exit behind it, nested under emulation 100 µs; a KVM that
// interprets ring 0 needs 30 ms (0.75 µs an instruction, measured with kvm-pvm).
inline constexpr std::uint32_t kCheckedLoops = 10'000;
inline constexpr std::uint32_t kInstructionsPerLoop = 4;
inline constexpr std::chrono::nanoseconds kCheckMax = std::chrono::milliseconds(4);
// The best of so many counts, as a busy machine may take the processor away; the first good one
// suffices.
inline constexpr int kCheckRuns = 5;

// In a throw-away machine with one processor. The error says what is missing and how to mend it.
// `now` is a monotonic clock.
[[nodiscard]] std::expected<void, sys::SetupError> check_kvm(KvmCalls& calls,
                                                             const std::function<Instant()>& now);
// Of this machine.
[[nodiscard]] std::expected<void, sys::SetupError> check_kvm();

}  // namespace sluice::box
