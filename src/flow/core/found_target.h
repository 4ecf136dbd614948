// Where a name leads, for a flow to the address that stands for it (NameSource::kSynthetic). Such a
// flow waits for it behind FindTarget, and nobody else hears of it before.
#pragma once

#include <cstddef>
#include <span>

#include "policy/verdict.h"
#include "wire/address.h"

namespace sluice::flow {

struct FoundTarget {
  // No more are tried.
  static constexpr std::size_t kTargetsMax = 8;

  // What the host may be asked for, best first: addresses of the guest's own family come before
  // those of the other, in turns (RFC 8305, 4).
  std::span<const wire::Endpoint> targets{};
  // If there are none: why those that the name has may not be reached; or it leads nowhere.
  policy::Verdict verdict = policy::Verdict::kAccepted;
};

}  // namespace sluice::flow
