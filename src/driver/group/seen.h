// What a worker has seen of questions for names and of first bytes, for the events of the guest,
// which the first tells.
#pragma once

#include <cstdint>
#include <vector>

#include "flow/core/sight.h"
#include "flow/judge/dns_judge.h"

namespace sluice::driver {

struct Seen {
  std::uint64_t generation = 0;  // Of the policy that decided.
  bool audited = false;          // Refusals were only noted.
  std::vector<flow::RefusedQuery> refused{};
  std::vector<flow::SeenQuery> answered{};
  std::vector<flow::SeenClaim> claims{};
  std::uint64_t queries_left_out = 0;  // There was no room for so many more.
  std::uint64_t claims_left_out = 0;
};

}  // namespace sluice::driver
