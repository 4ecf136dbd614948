#include "telemetry/metrics/exposition.h"

#include <chrono>
#include <cstddef>
#include <iterator>
#include <string>

#include "base/unreachable.h"

namespace sluice::telemetry {
namespace {

[[nodiscard]] std::string_view word_of(MetricType type) {
  switch (type) {
    case MetricType::kCounter: return "counter";
    case MetricType::kGauge: return "gauge";
    case MetricType::kHistogram: return "histogram";
  }
  unreachable("type of metric outside its enum");
}

[[nodiscard]] double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void Exposition::family(std::string_view name, MetricType type, std::string_view help) {
  name_ = name;
  fmt::format_to(std::back_inserter(out_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                 word_of(type));
}

void Exposition::line(std::string_view suffix, std::initializer_list<Label> labels) {
  fmt::format_to(std::back_inserter(out_), "{}{}", name_, suffix);
  std::string_view before = "{";
  for (const Label& label : labels) {
    fmt::format_to(std::back_inserter(out_), "{}{}=\"{}\"", before, label.name, label.value);
    before = ",";
  }
  if (labels.size() > 0) out_.push_back('}');
  out_.push_back(' ');
}

void Exposition::value(std::initializer_list<Label> labels, std::uint64_t value) {
  line("", labels);
  fmt::format_to(std::back_inserter(out_), "{}\n", value);
}

void Exposition::histogram(const TimeHistogram& values) {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < values.counts().size(); ++i) {
    below += values.counts()[i];
    const bool bounded = i < TimeHistogram::kBounds.size();
    const std::string bound =
        bounded ? fmt::format("{}", seconds(TimeHistogram::kBounds[i])) : "+Inf";
    line("_bucket", {{"le", bound}});
    fmt::format_to(std::back_inserter(out_), "{}\n", below);
  }
  line("_sum", {});
  fmt::format_to(std::back_inserter(out_), "{}\n", seconds(values.sum()));
  line("_count", {});
  fmt::format_to(std::back_inserter(out_), "{}\n", below);
}

}  // namespace sluice::telemetry
