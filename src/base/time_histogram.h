// How often something took how long: counts by bounds that are the same for all, so that those of
// several threads can be added up. No allocation.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/time.h"

namespace sluice {

class TimeHistogram {
 public:
  // From what a cache near by takes to the patience of a resolver's clients.
  static constexpr std::array<Duration, 12> kBounds{
      std::chrono::milliseconds(1),   std::chrono::milliseconds(2),
      std::chrono::milliseconds(5),   std::chrono::milliseconds(10),
      std::chrono::milliseconds(20),  std::chrono::milliseconds(50),
      std::chrono::milliseconds(100), std::chrono::milliseconds(200),
      std::chrono::milliseconds(500), std::chrono::seconds(1),
      std::chrono::seconds(2),        std::chrono::seconds(5)};

  void add(Duration took) {
    const auto bound = std::ranges::lower_bound(kBounds, took);
    ++counts_[static_cast<std::size_t>(bound - kBounds.begin())];
    sum_ += took;
  }
  void add(const TimeHistogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    sum_ += other.sum_;
  }

  // How many took at most the bound of the same place, and more than the one before; the last: more
  // than all.
  [[nodiscard]] std::span<const std::uint64_t> counts() const { return counts_; }
  [[nodiscard]] Duration sum() const { return sum_; }

 private:
  std::array<std::uint64_t, kBounds.size() + 1> counts_{};
  Duration sum_{};
};

}  // namespace sluice
