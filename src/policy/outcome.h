// How an accepted flow ended.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/unreachable.h"

namespace sluice::policy {

enum class Outcome : std::uint8_t {
  kOpen,          // Not ended: reported while the flow lives, or when sluice itself ends.
  kClosed,        // TCP: both sides sent FIN. UDP and ICMP: idle after an answer.
  kResetByGuest,  // TCP only, as is the next.
  kResetByHost,
  kRefused,      // The target refused it: a RST to our SYN, or ICMP port unreachable.
  kUnreachable,  // The host has no way there, or ICMP said so.
  kTimedOut,     // Nobody answered, or an established peer stopped answering.
  kGivenUp,      // TCP: sluice ended before the host had all that the guest sent, and reset it.
  kMadeRoom,     // Inbound: given up for a newer one, as its client showed no sign of being there.
  kCutOff,       // Ended by us, whatever the two sides wanted: the verdict says why.
  kNotAccepted,  // The verdict was a refusal, so nothing began.
};

// A flow that had a connection, as against one that failed before it began.
[[nodiscard]] inline bool was_established(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOpen:
    case Outcome::kClosed:
    case Outcome::kResetByGuest:
    case Outcome::kResetByHost:
    case Outcome::kGivenUp:
    case Outcome::kMadeRoom:
    case Outcome::kCutOff: return true;
    case Outcome::kRefused:
    case Outcome::kUnreachable:
    case Outcome::kTimedOut:
    case Outcome::kNotAccepted: return false;
  }
  unreachable("outcome outside its enum");
}

[[nodiscard]] inline std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOpen: return "open";
    case Outcome::kClosed: return "closed";
    case Outcome::kResetByGuest: return "reset by guest";
    case Outcome::kResetByHost: return "reset by host";
    case Outcome::kRefused: return "refused";
    case Outcome::kUnreachable: return "unreachable";
    case Outcome::kTimedOut: return "timed out";
    case Outcome::kGivenUp: return "given up";
    case Outcome::kMadeRoom: return "made room";
    case Outcome::kCutOff: return "cut off";
    case Outcome::kNotAccepted: return "not accepted";
  }
  unreachable("outcome outside its enum");
}

}  // namespace sluice::policy
