// What the workers of a guest have counted over its life, for those who watch many runs over time.
// A value that a worker makes of its own, and that adds up. The text of it is exposition.h's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/time_histogram.h"
#include "policy/protocol.h"
#include "policy/verdict.h"
#include "telemetry/flow_record.h"

namespace sluice::telemetry {

inline constexpr std::size_t kPathCount = 3;  // Of FlowPath.

// Flows that have ended, and those that were refused: once each, by their last verdict.
class FlowsEnded {
 public:
  void count(policy::Protocol protocol, policy::Verdict verdict) {
    ++counts_[index(protocol)][static_cast<std::size_t>(verdict)];
  }
  [[nodiscard]] std::uint64_t of(policy::Protocol protocol, policy::Verdict verdict) const {
    return counts_[index(protocol)][static_cast<std::size_t>(verdict)];
  }
  void add(const FlowsEnded& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      for (std::size_t j = 0; j < policy::kVerdictCount; ++j) counts_[i][j] += other.counts_[i][j];
    }
  }

 private:
  [[nodiscard]] static std::size_t index(policy::Protocol protocol) {
    return static_cast<std::size_t>(protocol);
  }
  std::array<std::array<std::uint64_t, policy::kVerdictCount>, policy::kProtocolCount> counts_{};
};

// Payload, both ways.
struct BytesMoved {
  std::uint64_t to_host = 0;
  std::uint64_t to_guest = 0;

  void add(const BytesMoved& other) {
    to_host += other.to_host;
    to_guest += other.to_guest;
  }
};

// A counter that has a kind and a result; its texts live as long as the process.
struct ResultCount {
  std::string_view kind;
  std::string_view result;
  std::uint64_t value = 0;
};

struct Totals {
  using PerPath = std::array<std::uint64_t, kPathCount>;

  FlowsEnded ended{};
  std::array<PerPath, policy::kProtocolCount> open{};  // Flows that live.
  BytesMoved bytes{};                                  // By all ways together.
  BytesMoved carried{};                                // Of these, by the guest's kernel,
  BytesMoved relayed{};                                // and between the loopbacks.
  std::vector<ResultCount> dns{};                      // Questions; they have no kind.
  std::uint64_t dns_unanswered = 0;
  TimeHistogram dns_upstream{};
  std::vector<ResultCount> gate{};
  std::uint64_t handed_over = 0;
  std::uint64_t hand_overs_failed = 0;
  std::uint64_t pins = 0;  // Of the guest: the same from each of its workers.

  // What another worker of the same guest has counted.
  void add(const Totals& other);
};

}  // namespace sluice::telemetry
