#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "telemetry/trace/trace_export.h"

namespace sluice::telemetry {
namespace {

using Out = fmt::memory_buffer;
using Cycles = std::vector<const TraceCycle*>;
using Course = std::vector<TraceStepKind>;
using Pair = std::pair<TraceStepKind, TraceStepKind>;

[[nodiscard]] double micros(std::uint64_t nanos) { return static_cast<double>(nanos) / 1000; }

[[nodiscard]] double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

// The gaps at one place, over many cycles.
class Gaps {
 public:
  void add(std::uint64_t nanos) {
    all_.push_back(nanos);
    sum_ += nanos;
  }
  void sort() { std::sort(all_.begin(), all_.end()); }
  // After sort(): the nearest rank.
  [[nodiscard]] std::uint64_t percentile(std::size_t hundredths) const {
    return all_[(all_.size() * hundredths + 99) / 100 - 1];
  }
  [[nodiscard]] std::uint64_t sum() const { return sum_; }
  [[nodiscard]] std::size_t count() const { return all_.size(); }

 private:
  std::vector<std::uint64_t> all_;
  std::uint64_t sum_ = 0;
};

[[nodiscard]] std::uint64_t gap_before(const TraceCycle& cycle, std::size_t step) {
  return cycle.steps[step].record.time_ns - cycle.steps[step - 1].record.time_ns;
}

[[nodiscard]] std::uint64_t total_of(const Cycles& cycles) {
  std::uint64_t sum = 0;
  for (const TraceCycle* cycle : cycles) sum += cycle->duration_ns();
  return sum;
}

// The cycles that take the steps that most of them take.
[[nodiscard]] Cycles most_common_course(const Cycles& cycles) {
  std::map<Course, Cycles> by_course;
  for (const TraceCycle* cycle : cycles) {
    Course course;
    for (const TraceStep& step : cycle->steps) course.push_back(step.kind);
    by_course[std::move(course)].push_back(cycle);
  }
  const auto most = std::max_element(
      by_course.begin(), by_course.end(),
      [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  return std::move(most->second);
}

[[nodiscard]] const TraceCycle& median_of(Cycles cycles) {
  const auto middle = cycles.begin() + static_cast<std::ptrdiff_t>((cycles.size() - 1) / 2);
  std::nth_element(
      cycles.begin(), middle, cycles.end(),
      [](const TraceCycle* a, const TraceCycle* b) { return a->duration_ns() < b->duration_ns(); });
  return **middle;
}

// A step's name, with its numbers.
[[nodiscard]] std::string describe(const TraceStep& step) {
  const std::string_view name = to_string(step.kind);
  switch (step.kind) {
    case TraceStepKind::kFrameData:
    case TraceStepKind::kBytesToHost:
    case TraceStepKind::kBytesToGuest: return fmt::format("{}, {} B", name, step.record.a);
    case TraceStepKind::kFinToGuest:
      return step.record.a == 0 ? std::string(name) : fmt::format("{}, {} B", name, step.record.a);
    case TraceStepKind::kWindowUpdate:
      return fmt::format("{}, {} B", name, step.record.b - step.record.a);
    case TraceStepKind::kPollForGuest:
    case TraceStepKind::kPollForHost:
    case TraceStepKind::kFrameSyn:
    case TraceStepKind::kFrameAck:
    case TraceStepKind::kFrameFin:
    case TraceStepKind::kFrameReset:
    case TraceStepKind::kFlowCreated:
    case TraceStepKind::kConnectIssued:
    case TraceStepKind::kConnectDone:
    case TraceStepKind::kConnectFailed:
    case TraceStepKind::kSynAckQueued:
    case TraceStepKind::kFramesFlushed:
    case TraceStepKind::kFinToHost:
    case TraceStepKind::kRetransmit:
    case TraceStepKind::kFlowClosed: return std::string(name);
  }
  return std::string(name);
}

void put_course(Out& out, const Cycles& cycles, std::size_t all) {
  const TraceCycle& median = median_of(cycles);
  const std::uint64_t total = total_of(cycles);
  std::vector<Gaps> gaps(median.steps.size());
  for (const TraceCycle* cycle : cycles) {
    for (std::size_t i = 1; i < gaps.size(); ++i) gaps[i].add(gap_before(*cycle, i));
  }
  fmt::format_to(
      std::back_inserter(out),
      "{} of {} cycles ({:.0f} %) take these {} steps. \"at\" and \"gap\" are of the one "
      "whose time\nis the median, {:.1f} us (port {} to {}); p50, p99 and share are of "
      "that gap in all of them.\n\n"
      "{:>9} {:>9} {:>9} {:>9} {:>7}  {:<26} {}\n{:>9.1f} {:>39}  {}\n",
      cycles.size(), all, percent(cycles.size(), all), median.steps.size(),
      micros(median.duration_ns()), median.guest_port, median.remote_port, "at us", "gap us", "p50",
      "p99", "share", "step", "the gap was spent", 0.0, "", describe(median.steps.front()));
  std::size_t largest = 1;
  for (std::size_t i = 1; i < gaps.size(); ++i) {
    gaps[i].sort();
    if (gaps[i].sum() > gaps[largest].sum()) largest = i;
    const TraceStep& step = median.steps[i];
    fmt::format_to(std::back_inserter(out),
                   "{:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>5.1f} %  {:<26} {}\n",
                   micros(step.record.time_ns - median.begin_ns()), micros(gap_before(median, i)),
                   micros(gaps[i].percentile(50)), micros(gaps[i].percentile(99)),
                   percent(gaps[i].sum(), total), describe(step), spent_with(step.kind));
  }
  fmt::format_to(std::back_inserter(out),
                 "\nLargest gap: {} -> {}, {:.1f} us (p50), {:.1f} % of the time:\n{}\n",
                 to_string(median.steps[largest - 1].kind), to_string(median.steps[largest].kind),
                 micros(gaps[largest].percentile(50)), percent(gaps[largest].sum(), total),
                 spent_with(median.steps[largest].kind));
}

void put_pairs(Out& out, const Cycles& cycles) {
  const std::uint64_t total = total_of(cycles);
  std::map<Pair, Gaps> by_pair;
  for (const TraceCycle* cycle : cycles) {
    for (std::size_t i = 1; i < cycle->steps.size(); ++i) {
      by_pair[{cycle->steps[i - 1].kind, cycle->steps[i].kind}].add(gap_before(*cycle, i));
    }
  }
  std::vector<std::pair<Pair, Gaps>> rows(by_pair.begin(), by_pair.end());
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return std::pair(b.second.sum(), a.first) < std::pair(a.second.sum(), b.first);
  });
  fmt::format_to(std::back_inserter(out),
                 "\nAll {} cycles, each gap wherever it stands, the largest sum first:\n\n"
                 "{:>9} {:>9} {:>9} {:>7}  {}\n",
                 cycles.size(), "count", "p50 us", "p99 us", "share", "from -> to");
  for (auto& [pair, gaps] : rows) {
    gaps.sort();
    fmt::format_to(std::back_inserter(out), "{:>9} {:>9.1f} {:>9.1f} {:>5.1f} %  {} -> {}\n",
                   gaps.count(), micros(gaps.percentile(50)), micros(gaps.percentile(99)),
                   percent(gaps.sum(), total), to_string(pair.first), to_string(pair.second));
  }
}

}  // namespace

std::string trace_text(const Trace& trace) {
  const std::vector<TraceCycle> all = cycles_of(trace.records);
  Cycles ended;
  for (const TraceCycle& cycle : all) {
    if (cycle.complete()) ended.push_back(&cycle);
  }
  Out out;
  fmt::format_to(
      std::back_inserter(out), "Trace {}: {} events{}; {} connect cycles, {} not ended.\n",
      trace.target, trace.records.size(),
      trace.overwritten == 0
          ? std::string()
          : fmt::format(", the newest ({} before them were overwritten)", trace.overwritten),
      all.size(), all.size() - ended.size());
  if (ended.empty()) {
    fmt::format_to(std::back_inserter(out),
                   "No TCP flow began and ended, so there is nothing to time.\n");
    return fmt::to_string(out);
  }
  put_course(out, most_common_course(ended), ended.size());
  put_pairs(out, ended);
  return fmt::to_string(out);
}

}  // namespace sluice::telemetry
