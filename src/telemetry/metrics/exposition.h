// The text in which Prometheus reads metrics (its text-based exposition format, 0.0.4): a family
// after the other, each with what it is, then a line for each of its series.
//
//   # HELP sluice_pins Addresses that are pinned to names.
//   # TYPE sluice_pins gauge
//   sluice_pins 12
//
// Names and labels are ours alone: nothing of a guest's is ever one, so there is nothing to escape,
// and how many series there are is bounded.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "base/time_histogram.h"

namespace sluice::telemetry {

enum class MetricType : std::uint8_t { kCounter, kGauge, kHistogram };

struct Label {
  std::string_view name;
  std::string_view value;
};

class Exposition {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  // Behind what `out` holds.
  explicit Exposition(fmt::memory_buffer& out) : out_(out) {}

  // The series that follow are this family's. Counters' names end in "_total".
  void family(std::string_view name, MetricType type, std::string_view help);
  void value(std::initializer_list<Label> labels, std::uint64_t value);
  // In seconds. The family is a histogram.
  void histogram(const TimeHistogram& values);

 private:
  void line(std::string_view suffix, std::initializer_list<Label> labels);

  fmt::memory_buffer& out_;
  std::string_view name_;
};

}  // namespace sluice::telemetry
