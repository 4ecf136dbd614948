#include "telemetry/counters.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

namespace sluice::telemetry {

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

}  // namespace sluice::telemetry
