// A latency histogram in the manner of HDR: buckets double in width with every power of two, and
// each power of two is cut into 128 equal parts, so that a quantile is off by less than 0.8% at
// any magnitude. Values are nanoseconds up to 2^37 (137 s); larger ones are counted there.
//
// 16 KiB whatever the number of samples, so that each of a thousand flows can have its own.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sluice::bench {

class Histogram {
 public:
  void record(std::uint64_t value_ns) {
    const std::uint64_t value = std::min(value_ns, kLargest);
    ++counts_[index_of(value)];
    ++count_;
    sum_ += value;
    max_ = std::max(max_, value);
    min_ = std::min(min_, value);
  }

  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
    min_ = std::min(min_, other.min_);
  }

  // The smallest value that at least `quantile` (0 to 1) of the samples do not exceed, given as
  // the middle of its bucket. Zero without samples.
  [[nodiscard]] std::uint64_t quantile(double quantile) const {
    if (count_ == 0) return 0;
    const double exact = quantile * static_cast<double>(count_);
    const std::uint64_t wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(exact));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted) return std::clamp(middle_of(i), min_, max_);
    }
    return max_;
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] std::uint64_t mean() const { return count_ == 0 ? 0 : sum_ / count_; }

 private:
  static constexpr unsigned kPartBits = 7;
  static constexpr unsigned kLargestBits = 37;
  static constexpr std::uint64_t kParts = 1U << kPartBits;
  static constexpr std::uint64_t kLargest = (std::uint64_t{1} << kLargestBits) - 1;

  // Values below 128 have a bucket each. Above, the bits under the leading one select the part.
  static std::size_t index_of(std::uint64_t value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    if (width <= kPartBits) return value;
    const unsigned shift = width - kPartBits - 1;
    return (std::size_t{shift} << kPartBits) + (value >> shift);
  }

  static std::uint64_t middle_of(std::size_t index) {
    if (index < 2 * kParts) return index;
    const std::size_t shift = (index >> kPartBits) - 1;
    const std::uint64_t low = (index - (shift << kPartBits)) << shift;
    return low + (std::uint64_t{1} << shift) / 2;
  }

  std::array<std::uint32_t, (kLargestBits - kPartBits + 1) * kParts> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
  std::uint64_t min_ = kLargest;
};

}  // namespace sluice::bench
