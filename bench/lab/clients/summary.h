// What a latency client prints: one line of numbers, or JSON with the same and more.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "clients/histogram.h"
#include "clients/pacing.h"

namespace sluice::bench {

// Of M flows: the median of their p50s, the worst of the other quantiles, the mean of their
// means. With one flow these are its own.
struct LatencySummary {
  std::uint64_t samples = 0;
  std::uint64_t p50 = 0;
  std::uint64_t p90 = 0;
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
    out.p90 = std::max(out.p90, flow.quantile(0.90));
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

[[nodiscard]] inline double per_second(std::uint64_t count, std::uint64_t elapsed_ns) {
  if (elapsed_ns == 0) return 0;
  return static_cast<double>(count) * 1e9 / static_cast<double>(elapsed_ns);
}

[[nodiscard]] inline std::string quantile_fields(const LatencySummary& s,
                                                 const std::string& prefix = "") {
  return fmt::format(
      "\"{0}p50_ns\":{1},\"{0}p90_ns\":{2},\"{0}p99_ns\":{3},\"{0}p999_ns\":{4},"
      "\"{0}mean_ns\":{5},\"{0}min_ns\":{6},\"{0}max_ns\":{7}",
      prefix, s.p50, s.p90, s.p99, s.p999, s.mean, s.min, s.max);
}

[[nodiscard]] inline std::string json_fields(const LatencySummary& s, std::size_t flows,
                                             double rate, std::uint64_t lost) {
  return fmt::format("\"n\":{},\"flows\":{},{},\"rate_per_s\":{:.1f},\"lost\":{}", s.samples, flows,
                     quantile_fields(s), rate, lost);
}

// Of a run without a rate.
inline void print_summary(const LatencySummary& s, std::size_t flows, std::uint64_t elapsed_ns,
                          std::uint64_t lost, bool json) {
  const double rate = per_second(s.samples, elapsed_ns);
  if (json) {
    fmt::print("{{{}}}\n", json_fields(s, flows, rate, lost));
  } else if (flows == 1) {
    fmt::print("{} {} {} {}\n", s.samples, s.p50, s.p99, s.mean);
  } else {
    fmt::print("{} {} {} {} {:.1f}\n", s.samples, s.p50, s.p99, s.mean, rate);
  }
}

// Of a run with a rate. False when no operation succeeded: then nothing was measured.
[[nodiscard]] inline bool print_paced(const PacedWork& work, std::size_t flows, bool json) {
  const LatencySummary s = summarise({work.latency()});
  const double achieved = per_second(s.samples, work.elapsed_ns());
  const Failures& failed = work.failures();
  if (json) {
    fmt::print(
        "{{{},\"offered_per_s\":{},\"achieved_per_s\":{:.1f},\"late_start_max_ns\":{},{},"
        "\"errors\":{{\"refused\":{},\"timed_out\":{},\"reset\":{},\"other\":{}}}}}\n",
        json_fields(s, flows, achieved, failed.total()), work.rate(), achieved,
        work.latest_start_ns(), quantile_fields(summarise({work.service()}), "service_"),
        failed.refused, failed.timed_out, failed.reset, failed.other);
  } else {
    fmt::print("{} {} {} {} {:.1f} {} {}\n", s.samples, s.p50, s.p99, s.mean, achieved, work.rate(),
               failed.total());
  }
  return s.samples > 0;
}

}  // namespace sluice::bench
