// What became of the guest's questions, for those who watch: how many, and how long the host's
// resolvers took.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/time_histogram.h"
#include "base/unreachable.h"

namespace sluice::dns {

enum class DnsResult : std::uint8_t {
  kCached,     // Answered by the cache.
  kAsked,      // A resolver was asked, or is being asked the same already.
  kRefused,    // Withheld: nobody was asked.
  kLocal,      // Answered here in full.
  kRepeated,   // By a client that waits for the same answer.
  kMalformed,  // No question that can be answered.
  kOverload,   // A bound is reached.
  kNobody,     // There is no resolver.
};

inline constexpr std::size_t kDnsResultCount = static_cast<std::size_t>(DnsResult::kNobody) + 1;

// For programs.
[[nodiscard]] constexpr std::string_view to_string(DnsResult result) {
  switch (result) {
    case DnsResult::kCached: return "cached";
    case DnsResult::kAsked: return "asked";
    case DnsResult::kRefused: return "refused";
    case DnsResult::kLocal: return "local";
    case DnsResult::kRepeated: return "repeated";
    case DnsResult::kMalformed: return "malformed";
    case DnsResult::kOverload: return "overload";
    case DnsResult::kNobody: return "no-resolver";
  }
  unreachable("result outside its enum");
}

struct DnsCounters {
  std::array<std::uint64_t, kDnsResultCount> queries{};
  std::uint64_t unanswered = 0;  // Questions that no resolver answered.
  TimeHistogram upstream{};      // From a question to its answer by whichever resolver.

  void count(DnsResult result) { ++queries[static_cast<std::size_t>(result)]; }
};

}  // namespace sluice::dns
