// Members of the JSON that a run answers with. What is missing, or of another kind, is empty: a run
// may be of another version. Texts are a guest's choice, and come as they may be shown.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <string>

#include "app/ctl/ctl_tables.h"
#include "base/time.h"

namespace sluice::app {

template <typename Json>
[[nodiscard]] std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? shown(found->template get<std::string>())
                                                     : "";
}

template <typename Json>
[[nodiscard]] std::uint64_t number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->template get<std::uint64_t>()
                                                              : 0;
}

template <typename Json>
[[nodiscard]] double fraction_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->template get<double>() : 0;
}

// Of a number of seconds, in whole milliseconds.
template <typename Json>
[[nodiscard]] Duration seconds_of(const Json& object, const char* key) {
  constexpr double kMost = 1e9;  // Some thirty years.
  const double seconds = std::clamp(fraction_of(object, key), 0.0, kMost);
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

// "host:port"; of no port the host alone.
[[nodiscard]] inline std::string host_and_port(const std::string& host, std::uint64_t port) {
  if (port == 0) return host;
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace sluice::app
