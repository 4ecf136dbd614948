// How many refusals get a line of their own: a burst of each reason, then some in a second; the
// rest is counted. Whoever is refused may try again a hundred thousand times a second, and a disk
// that he fills is worse than a line that is missing.
//
// Time is that of the record, which never goes back within one run.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "telemetry/flow_record.h"

namespace sluice::telemetry {

class RefusalRate {
 public:
  using Time = std::chrono::system_clock::time_point;
  static constexpr std::uint32_t kBurst = 100;
  static constexpr std::uint32_t kPerSecond = 10;

  // Of what is let through there is more.
  struct Accepted {
    std::uint32_t burst = kBurst;
    std::uint32_t per_second = kPerSecond;
  };
  RefusalRate() = default;
  explicit RefusalRate(const Accepted& accepted) : accepted_(accepted) {}

  // One of the reasons that are limited; nothing for a record of a flow that went its way.
  [[nodiscard]] static std::optional<std::size_t> reason_of(const FlowRecord& record) {
    if (record.verdict != policy::Verdict::kAccepted) {
      return static_cast<std::size_t>(record.verdict);
    }
    if (record.outcome == policy::Outcome::kMadeRoom) return kMadeRoom;
    return std::nullopt;
  }
  [[nodiscard]] static policy::Verdict verdict_of(std::size_t reason) {
    return static_cast<policy::Verdict>(reason);
  }
  [[nodiscard]] static policy::Outcome outcome_of(std::size_t reason) {
    return reason == kMadeRoom ? policy::Outcome::kMadeRoom : policy::Outcome::kNotAccepted;
  }

  // Whether this one gets a line; else it is counted as left out.
  [[nodiscard]] bool admit(std::size_t reason, Time now);
  void leave_out(std::size_t reason, std::uint64_t count) { buckets_[reason].left_out += count; }
  // How many were left out since the last call.
  [[nodiscard]] std::uint64_t take_left_out(std::size_t reason);

  // Reasons are the numbers of verdicts; that of kAccepted stands for flows that made room.
  static constexpr std::size_t kReasons = policy::kVerdictCount;

 private:
  static constexpr std::size_t kMadeRoom = static_cast<std::size_t>(policy::Verdict::kAccepted);
  static constexpr Time::duration kSecond =
      std::chrono::duration_cast<Time::duration>(std::chrono::seconds(1));

  struct Bucket {
    Time empty_at{};  // What a bucket holds: the time since then, at most the burst's.
    std::uint64_t left_out = 0;
  };
  Accepted accepted_{};
  std::array<Bucket, kReasons> buckets_{};
};

}  // namespace sluice::telemetry
