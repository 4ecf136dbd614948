#include "telemetry/counters.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

namespace sluice::telemetry {
namespace {

// More would be a page, not a line.
constexpr std::size_t kShown = 5;

[[nodiscard]] std::string_view plural(std::uint64_t count) { return count == 1 ? "" : "s"; }

void append_used(std::string& text, const LimitUse& limit) {
  const char* separator = " (";
  const auto append = [&](std::uint64_t used, std::uint64_t max, std::string_view unit) {
    if (max == 0) return;
    fmt::format_to(std::back_inserter(text), "{}{} of {} {}", separator, used, max, unit);
    separator = ", ";
  };
  append(limit.to_host, limit.to_host_max, "bytes to hosts");
  append(limit.from_host, limit.from_host_max, "bytes from hosts");
  append(limit.flows, limit.flows_max, "flows now");
  if (*separator == ',') text += ')';
}

}  // namespace

std::string format_counters(std::span<const Counter> counters, std::size_t indent) {
  std::size_t widest_name = 0;
  std::size_t widest_value = 0;
  for (const Counter& counter : counters) {
    if (counter.value == 0) continue;
    widest_name = std::max(widest_name, counter.name.size());
    widest_value = std::max(widest_value, fmt::formatted_size("{}", counter.value));
  }
  std::string text;
  for (const Counter& counter : counters) {
    if (counter.value == 0) continue;
    fmt::format_to(std::back_inserter(text), "{:{}}{:<{}}  {:>{}}\n", "", indent, counter.name,
                   widest_name, counter.value, widest_value);
  }
  return text;
}

std::string limits_text(const std::vector<LimitUse>& limits) {
  std::string text;
  std::size_t reached = 0;
  for (const LimitUse& limit : limits) {
    if (limit.refused == 0 && limit.ended == 0) continue;
    if (++reached > kShown) continue;
    text += text.empty() ? "limit reached: " : "; ";
    text +=
        limit.rule.empty() ? std::string("of the run") : fmt::format("of rule '{}'", limit.rule);
    append_used(text, limit);
    fmt::format_to(std::back_inserter(text), ": {} flow{} ended, {} refused", limit.ended,
                   plural(limit.ended), limit.refused);
  }
  if (reached > kShown) fmt::format_to(std::back_inserter(text), "; … {} more", reached - kShown);
  return text;
}

void add_limit(JsonLine& line, const LimitUse& limit) {
  if (limit.rule.empty()) {
    line.null("rule");
  } else {
    line.text("rule", limit.rule);
  }
  line.number("to_host", limit.to_host);
  line.number("to_host_max", limit.to_host_max);
  line.number("from_host", limit.from_host);
  line.number("from_host_max", limit.from_host_max);
  line.number("flows", limit.flows);
  line.number("flows_max", limit.flows_max);
  line.number("refused", limit.refused);
  line.number("ended", limit.ended);
}

}  // namespace sluice::telemetry
