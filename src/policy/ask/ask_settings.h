// How people are asked, and what they may answer. Plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "base/unreachable.h"

namespace sluice::policy {

// For how long an answer holds.
enum class AnswerScope : std::uint8_t {
  kOnce,    // For what waits; where nothing waits any more, for the next try.
  kRun,     // Until the run ends.
  kAlways,  // For later runs as well.
};

// What an answer speaks of.
enum class AnswerBreadth : std::uint8_t {
  kNamePort,  // The name that was asked about, or the address, on this port.
  kName,      // ... on every port.
  kDomain,    // All names of the registrable domain, on this port.
};

struct AskSettings {
  Duration timeout = std::chrono::seconds{60};
  std::size_t pending = 32;                  // Questions that wait at the same time.
  AnswerScope remember = AnswerScope::kRun;  // Of an approval that does not say.
};

[[nodiscard]] constexpr std::string_view to_string(AnswerScope scope) {
  switch (scope) {
    case AnswerScope::kOnce: return "once";
    case AnswerScope::kRun: return "run";
    case AnswerScope::kAlways: return "always";
  }
  unreachable("scope outside its enum");
}

[[nodiscard]] constexpr std::string_view to_string(AnswerBreadth breadth) {
  switch (breadth) {
    case AnswerBreadth::kNamePort: return "name:port";
    case AnswerBreadth::kName: return "name";
    case AnswerBreadth::kDomain: return "domain";
  }
  unreachable("breadth outside its enum");
}

[[nodiscard]] constexpr std::optional<AnswerScope> parse_scope(std::string_view text) {
  for (const auto scope : {AnswerScope::kOnce, AnswerScope::kRun, AnswerScope::kAlways}) {
    if (to_string(scope) == text) return scope;
  }
  return std::nullopt;
}

[[nodiscard]] constexpr std::optional<AnswerBreadth> parse_breadth(std::string_view text) {
  for (const auto breadth :
       {AnswerBreadth::kNamePort, AnswerBreadth::kName, AnswerBreadth::kDomain}) {
    if (to_string(breadth) == text) return breadth;
  }
  return std::nullopt;
}

}  // namespace sluice::policy
