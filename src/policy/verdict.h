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
  // Of flows that policy leaves to somebody else to decide.
  kAskRefused,          // They said no.
  kAskTimedOut,         // They said nothing in time.
  kAskNobody,           // There is nobody to ask.
  kAskQueueFull,        // Too many wait for an answer.
  kFirstBytesRefused,   // What the guest sent first is not let through.
  kFirstBytesTimedOut,  // ... or was not judged in time.
  kFirstBytesFull,      // ... or could not be kept: too many wait.
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
    case Verdict::kAskRefused: return "refused when asked";
    case Verdict::kAskTimedOut: return "no answer in time";
    case Verdict::kAskNobody: return "nobody to ask";
    case Verdict::kAskQueueFull: return "too many asked about";
    case Verdict::kFirstBytesRefused: return "first bytes refused";
    case Verdict::kFirstBytesTimedOut: return "first bytes not judged in time";
    case Verdict::kFirstBytesFull: return "too many first bytes";
  }
  unreachable("verdict outside its enum");
}

}  // namespace sluice::policy
