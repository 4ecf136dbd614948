// What was decided about a new flow.
//
// The order of the refusals is the order in which they are tried: a flow that several of them
// would refuse is counted under the first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/unreachable.h"

namespace sluice::policy {

enum class Verdict : std::uint8_t {
  kAccepted,
  kNotRoutable,      // The target is an address that no network carries: see routable.h.
  kDeniedByPolicy,   // A rule of --deny, or one of the default denials.
  kHostAddress,      // The target is an address of the host itself: see reach.h.
  kAddressUnlisted,  // No rule speaks of the address, and the default refuses.
  kNameDenied,       // A rule denies the name.
  kNameUnlisted,     // No rule speaks of the name, and the default refuses.
  kPortUnlisted,     // A rule allows the name or address, but not this port or protocol.
  kPinExpired,       // The name that the address was learnt by has another one by now.
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
  kNoServerName,        // TLS without a server name, or with one that is none.
  kServerNameMismatch,  // TLS to a name that the address was not learnt by, or that is refused.
  kEncryptedHello,      // TLS whose server name is encrypted, where that is refused.
  kNotTls,              // No TLS where it must be.
  kNotHttp,             // No HTTP where it must be.
  kHostMismatch,        // HTTP to a host that the address was not learnt by, or that is refused.
  kViaFailed,           // Whom the rule leads it by could not be reached, or refused it.
  kQuota,               // A limit of the rule, or of the whole run, is reached.
  kRevoked,             // Allowed once; the policy is another by now.
  kKilled,              // Ended by a person, over the control socket.
  // Of questions for names, which begin no flow; besides those above.
  kDnsPrivate,  // DNS: all addresses of the answer are private ones.
  kDnsBudget,   // DNS: too many names below one domain that a wildcard allows.
  kDnsType,     // DNS: a type of record that the policy does not list.
};

inline constexpr std::size_t kVerdictCount = static_cast<std::size_t>(Verdict::kDnsType) + 1;

// A word or two for reports and logs: "accepted", "denied", "too many flows".
[[nodiscard]] inline std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAccepted: return "accepted";
    case Verdict::kNotRoutable: return "not routable";
    case Verdict::kDeniedByPolicy: return "denied";
    case Verdict::kHostAddress: return "host address";
    case Verdict::kAddressUnlisted: return "address not allowed";
    case Verdict::kNameDenied: return "name denied";
    case Verdict::kNameUnlisted: return "name not allowed";
    case Verdict::kPortUnlisted: return "port not allowed";
    case Verdict::kPinExpired: return "name's address expired";
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
    case Verdict::kNoServerName: return "no server name";
    case Verdict::kServerNameMismatch: return "server name refused";
    case Verdict::kEncryptedHello: return "encrypted server name";
    case Verdict::kNotTls: return "not TLS";
    case Verdict::kNotHttp: return "not HTTP";
    case Verdict::kHostMismatch: return "HTTP host refused";
    case Verdict::kViaFailed: return "broker failed";
    case Verdict::kQuota: return "quota";
    case Verdict::kRevoked: return "revoked";
    case Verdict::kKilled: return "ended by command";
    case Verdict::kDnsPrivate: return "private addresses";
    case Verdict::kDnsBudget: return "too many names";
    case Verdict::kDnsType: return "type of record";
  }
  unreachable("verdict outside its enum");
}

// For programs: "name-unlisted". Those of refusals are the names of their counters, too
// (flow/core/drop_reason.h).
[[nodiscard]] inline std::string_view reason_id(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAccepted: return "accepted";
    case Verdict::kNotRoutable: return "unreachable";
    case Verdict::kDeniedByPolicy: return "denied-by-policy";
    case Verdict::kHostAddress: return "host-address";
    case Verdict::kAddressUnlisted: return "address-unlisted";
    case Verdict::kNameDenied: return "name-denied";
    case Verdict::kNameUnlisted: return "name-unlisted";
    case Verdict::kPortUnlisted: return "port-unlisted";
    case Verdict::kPinExpired: return "pin-expired";
    case Verdict::kTooManyFlows: return "too-many-flows";
    case Verdict::kTooManyNewFlows: return "too-many-new-flows";
    case Verdict::kNoDescriptors: return "no-descriptors";
    case Verdict::kAskRefused: return "ask-refused";
    case Verdict::kAskTimedOut: return "ask-timeout";
    case Verdict::kAskNobody: return "ask-nobody";
    case Verdict::kAskQueueFull: return "ask-queue-full";
    case Verdict::kFirstBytesRefused: return "first-bytes-refused";
    case Verdict::kFirstBytesTimedOut: return "first-bytes-timeout";
    case Verdict::kFirstBytesFull: return "first-bytes-full";
    case Verdict::kNoServerName: return "no-sni";
    case Verdict::kServerNameMismatch: return "sni-mismatch";
    case Verdict::kEncryptedHello: return "ech";
    case Verdict::kNotTls: return "not-tls";
    case Verdict::kNotHttp: return "not-http";
    case Verdict::kHostMismatch: return "host-mismatch";
    case Verdict::kViaFailed: return "via-failed";
    case Verdict::kQuota: return "quota";
    case Verdict::kRevoked: return "revoked";
    case Verdict::kKilled: return "killed";
    case Verdict::kDnsPrivate: return "dns-private";
    case Verdict::kDnsBudget: return "dns-budget";
    case Verdict::kDnsType: return "dns-type";
  }
  unreachable("verdict outside its enum");
}

// Which part of us it was, for programs: "policy", "limits", "first-bytes", "ask", "person" or
// "system".
[[nodiscard]] inline std::string_view decided_by(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAccepted:
    case Verdict::kNotRoutable:
    case Verdict::kDeniedByPolicy:
    case Verdict::kHostAddress:
    case Verdict::kAddressUnlisted:
    case Verdict::kNameDenied:
    case Verdict::kNameUnlisted:
    case Verdict::kPortUnlisted:
    case Verdict::kPinExpired:
    case Verdict::kViaFailed:
    case Verdict::kRevoked:
    case Verdict::kDnsPrivate:
    case Verdict::kDnsBudget:
    case Verdict::kDnsType: return "policy";
    case Verdict::kTooManyFlows:
    case Verdict::kTooManyNewFlows:
    case Verdict::kQuota: return "limits";
    case Verdict::kNoDescriptors: return "system";
    case Verdict::kAskRefused:
    case Verdict::kAskTimedOut:
    case Verdict::kAskNobody:
    case Verdict::kAskQueueFull: return "ask";
    case Verdict::kFirstBytesRefused:
    case Verdict::kFirstBytesTimedOut:
    case Verdict::kFirstBytesFull:
    case Verdict::kNoServerName:
    case Verdict::kServerNameMismatch:
    case Verdict::kEncryptedHello:
    case Verdict::kNotTls:
    case Verdict::kNotHttp:
    case Verdict::kHostMismatch: return "first-bytes";
    case Verdict::kKilled: return "person";
  }
  unreachable("verdict outside its enum");
}

}  // namespace sluice::policy
