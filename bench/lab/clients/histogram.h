// A latency histogram in the manner of HDR: buckets double in width with every power of two, and
// each power of two is cut into 128 equal parts. A quantile is given as the middle of its bucket,
// so it is off by less than 0.4% at any magnitude. Values are nanoseconds up to 2^37 (137 s);
// larger ones are counted there.
//
// 31 KiB whatever the number of samples, so that each of a thousand flows can have its own. The
// counts cannot overflow; the sum holds 134 million samples of the largest value.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace sluice::bench {

class Histogram {
 public:
  static constexpr std::uint64_t kLargest = (std::uint64_t{1} << 37) - 1;

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
  // the middle of its bucket; 0 is the smallest sample and 1 the largest. Zero without samples.
  [[nodiscard]] std::uint64_t quantile(double quantile) const {
    if (count_ == 0) return 0;
    const std::uint64_t rank = rank_of(quantile);
    if (rank <= 1) return min_;
    if (rank >= count_) return max_;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= rank) return std::clamp(middle_of(i), min_, max_);
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

  // Of the sample wanted, the smallest being 1. 0.99 and its like are no exact binary fractions:
  // a thousandth of a sample is no reason to take the next one.
  [[nodiscard]] std::uint64_t rank_of(double quantile) const {
    const double exact = std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count_);
    return static_cast<std::uint64_t>(std::ceil(std::max(exact - 0.001, 0.0)));
  }

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

  std::array<std::uint64_t, (kLargestBits - kPartBits + 1) * kParts> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
  std::uint64_t min_ = kLargest;
};

}  // namespace sluice::bench
