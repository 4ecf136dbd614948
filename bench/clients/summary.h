// What a latency client prints: one line of numbers, or JSON with the same and more.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "clients/histogram.h"

namespace sluice::bench {

// Of M flows: the median of their p50s, the worst p99, the mean of their means. With one flow
// these are its own.
struct LatencySummary {
  std::uint64_t samples = 0;
  std::uint64_t p50 = 0;
  std::uint64_t p99 = 0;
  std::uint64_t p999 = 0;
  std::uint64_t mean = 0;
  std::uint64_t min = 0;
  std::uint64_t max = 0;
};

[[nodiscard]] inline LatencySummary summarise(const std::vector<Histogram>& flows) {
  LatencySummary out;
  std::vector<std::uint64_t> medians;
  std::uint64_t means = 0;
  out.min = UINT64_MAX;
  for (const Histogram& flow : flows) {
    if (flow.count() == 0) continue;
    out.samples += flow.count();
    medians.push_back(flow.quantile(0.50));
    means += flow.mean();
    out.p99 = std::max(out.p99, flow.quantile(0.99));
    out.p999 = std::max(out.p999, flow.quantile(0.999));
    out.min = std::min(out.min, flow.min());
    out.max = std::max(out.max, flow.max());
  }
  if (medians.empty()) return {};
  const auto middle = medians.begin() + static_cast<std::ptrdiff_t>(medians.size() / 2);
  std::nth_element(medians.begin(), middle, medians.end());
  out.p50 = *middle;
  out.mean = means / medians.size();
  return out;
}

inline void print_summary(const LatencySummary& s, std::size_t flows, std::uint64_t elapsed_ns,
                          std::uint64_t lost, bool json) {
  const double rate =
      elapsed_ns == 0 ? 0 : static_cast<double>(s.samples) * 1e9 / static_cast<double>(elapsed_ns);
  if (json) {
    fmt::print(
        "{{\"n\":{},\"flows\":{},\"p50_ns\":{},\"p99_ns\":{},\"p999_ns\":{},\"mean_ns\":{},"
        "\"min_ns\":{},\"max_ns\":{},\"rate_per_s\":{:.1f},\"lost\":{}}}\n",
        s.samples, flows, s.p50, s.p99, s.p999, s.mean, s.min, s.max, rate, lost);
  } else if (flows == 1) {
    fmt::print("{} {} {} {}\n", s.samples, s.p50, s.p99, s.mean);
  } else {
    fmt::print("{} {} {} {} {:.1f}\n", s.samples, s.p50, s.p99, s.mean, rate);
  }
}

}  // namespace sluice::bench
