// What was decided about a new flow.
//
// The order of the refusals is the order in which they are tried: a flow that several of them
// would refuse is counted under the first.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/unreachable.h"

namespace sluice::policy {

enum class Verdict : std::uint8_t {
  kAccepted,
  kNotRoutable,      // The target is an address that no network carries: see routable.h.
  kDeniedByPolicy,   // A rule of --deny, or one of the default denials.
  kHostAddress,      // The target is an address of the host itself: see reach.h.
  kTooManyFlows,     // --max-flows
  kTooManyNewFlows,  // --new-flows-per-second
  kNoDescriptors,    // The process or the system has no file descriptor left.
};

// A word or two for reports and logs: "accepted", "denied", "too many flows".
[[nodiscard]] inline std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAccepted: return "accepted";
    case Verdict::kNotRoutable: return "not routable";
    case Verdict::kDeniedByPolicy: return "denied";
    case Verdict::kHostAddress: return "host address";
    case Verdict::kTooManyFlows: return "too many flows";
    case Verdict::kTooManyNewFlows: return "too many new flows";
    case Verdict::kNoDescriptors: return "no descriptors";
  }
  unreachable("verdict outside its enum");
}

}  // namespace sluice::policy
