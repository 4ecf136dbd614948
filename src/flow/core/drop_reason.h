// Why a packet was dropped or a flow refused. Each reason is a counter that people see in the
// report and on SIGUSR1; nothing is discarded without one.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/unreachable.h"
#include "policy/verdict.h"

namespace sluice::flow {

enum class DropReason : std::uint8_t {
  kMalformed,         // A header that does not parse.
  kBadChecksum,       // A complete checksum that is wrong.
  kForeignEtherType,  // Neither ARP nor IP.
  kForeignProtocol,   // An IP protocol that we do not carry.
  kSpoofedSource,     // A source that no guest can have: multicast, loopback, ours.
  kNotForUs,          // Multicast and broadcast that nobody here serves.
  kFamilyDisabled,    // -4 or -6 excludes it.
  kProtocolDisabled,  // The guest's network has no such flows.
  kHopLimit,          // The TTL ran out here.
  kTcpUnknownFlow,    // A segment of no flow; answered with RST.
  kTcpOutsideWindow,  // Not one byte inside the window.
  kTcpBadAck,         // Acknowledges what was never sent.
  kTcpChallenged,     // RST or SYN that RFC 5961 does not believe at once.
  kTcpDuplicateSyn,   // A repeated SYN of a flow that is being opened.
  kTcpBufferFull,     // The spill's bound was reached; the guest sends it again.
  kTcpAfterClose,     // Data behind a FIN.
  kTcpSocketLost,     // A host's socket that is gone, or lost count of its bytes: both sides reset.
  kTcpGivenUp,        // A connection that was reset at the end with bytes of the guest's waiting.
  kUdpUnasked,        // A datagram from somebody the guest did not write to.
  kUdpHeldFull,       // A flow that is asked about keeps no more datagrams.
  kOverRate,          // A datagram, or an echo, over the rate that a limit gives.
  kUdpSendFailed,     // The host's kernel refused the datagram.
  kFragmentDropped,   // Overlapping, too large, too many, or too late.
  kDeniedByPolicy,    // A deny rule matched.
  kHostAddress,       // An address of the host itself.
  kAddressUnlisted,   // No rule speaks of the address, and the default refuses.
  kNameDenied,        // A rule denies the name.
  kNameUnlisted,      // No rule speaks of the name, and the default refuses.
  kPortUnlisted,      // A rule allows the name or address, but not this port or protocol.
  kPinExpired,        // The name that the address was learnt by has another one by now.
  kTooManyFlows,      // --max-flows
  kTooManyNewFlows,   // --new-flows-per-second
  kNoDescriptors,     // The process may not open another socket.
  kAskRefused,        // Whoever was asked about the flow said no,
  kAskTimedOut,       // or nothing in time.
  kAskNobody,         // Nobody is there to be asked.
  kAskQueueFull,      // Too many flows wait for an answer.
  kFirstBytesRefused,   // What the guest sent first was not let through,
  kFirstBytesTimedOut,  // or not judged in time.
  kFirstBytesFull,      // Too many flows keep their first bytes.
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
  kDnsPrivate,          // DNS: all addresses of the answer are private ones.
  kDnsBudget,           // DNS: too many names below one domain that a wildcard allows.
  kDnsType,             // DNS: a type of record that the policy does not list.
  kPingAsked,           // An echo request that is asked about: it does not wait.
  kPingForbidden,       // net.ipv4.ping_group_range forbids ping sockets.
  kUnreachable,         // No such host on the guest's own subnet, or an address never routed.
  kDnsRejected,         // Not a DNS query.
  kDnsTooMany,          // Too many questions at once; answered with SERVFAIL.
  kIcmpIgnored,         // An ICMP message that calls for nothing.
  kLinkWriteFailed,     // The tap took no more.
};

inline constexpr std::size_t kDropReasonCount =
    static_cast<std::size_t>(DropReason::kLinkWriteFailed) + 1;

// What a refusal is counted as.
[[nodiscard]] constexpr DropReason reason_of(policy::Verdict verdict) {
  switch (verdict) {
    case policy::Verdict::kAccepted: break;
    case policy::Verdict::kNotRoutable: return DropReason::kUnreachable;
    case policy::Verdict::kDeniedByPolicy: return DropReason::kDeniedByPolicy;
    case policy::Verdict::kHostAddress: return DropReason::kHostAddress;
    case policy::Verdict::kAddressUnlisted: return DropReason::kAddressUnlisted;
    case policy::Verdict::kNameDenied: return DropReason::kNameDenied;
    case policy::Verdict::kNameUnlisted: return DropReason::kNameUnlisted;
    case policy::Verdict::kPortUnlisted: return DropReason::kPortUnlisted;
    case policy::Verdict::kPinExpired: return DropReason::kPinExpired;
    case policy::Verdict::kTooManyFlows: return DropReason::kTooManyFlows;
    case policy::Verdict::kTooManyNewFlows: return DropReason::kTooManyNewFlows;
    case policy::Verdict::kNoDescriptors: return DropReason::kNoDescriptors;
    case policy::Verdict::kAskRefused: return DropReason::kAskRefused;
    case policy::Verdict::kAskTimedOut: return DropReason::kAskTimedOut;
    case policy::Verdict::kAskNobody: return DropReason::kAskNobody;
    case policy::Verdict::kAskQueueFull: return DropReason::kAskQueueFull;
    case policy::Verdict::kFirstBytesRefused: return DropReason::kFirstBytesRefused;
    case policy::Verdict::kFirstBytesTimedOut: return DropReason::kFirstBytesTimedOut;
    case policy::Verdict::kFirstBytesFull: return DropReason::kFirstBytesFull;
    case policy::Verdict::kNoServerName: return DropReason::kNoServerName;
    case policy::Verdict::kServerNameMismatch: return DropReason::kServerNameMismatch;
    case policy::Verdict::kEncryptedHello: return DropReason::kEncryptedHello;
    case policy::Verdict::kNotTls: return DropReason::kNotTls;
    case policy::Verdict::kNotHttp: return DropReason::kNotHttp;
    case policy::Verdict::kHostMismatch: return DropReason::kHostMismatch;
    case policy::Verdict::kViaFailed: return DropReason::kViaFailed;
    case policy::Verdict::kQuota: return DropReason::kQuota;
    case policy::Verdict::kRevoked: return DropReason::kRevoked;
    case policy::Verdict::kKilled: return DropReason::kKilled;
    case policy::Verdict::kDnsPrivate: return DropReason::kDnsPrivate;
    case policy::Verdict::kDnsBudget: return DropReason::kDnsBudget;
    case policy::Verdict::kDnsType: return DropReason::kDnsType;
  }
  unreachable("an accepted flow was refused");
}

[[nodiscard]] constexpr std::string_view to_string(DropReason reason) {
  switch (reason) {
    case DropReason::kMalformed: return "malformed";
    case DropReason::kBadChecksum: return "bad-checksum";
    case DropReason::kForeignEtherType: return "foreign-ether-type";
    case DropReason::kForeignProtocol: return "foreign-protocol";
    case DropReason::kSpoofedSource: return "spoofed-source";
    case DropReason::kNotForUs: return "not-for-us";
    case DropReason::kFamilyDisabled: return "family-disabled";
    case DropReason::kProtocolDisabled: return "protocol-disabled";
    case DropReason::kHopLimit: return "hop-limit";
    case DropReason::kTcpUnknownFlow: return "tcp-unknown-flow";
    case DropReason::kTcpOutsideWindow: return "tcp-outside-window";
    case DropReason::kTcpBadAck: return "tcp-bad-ack";
    case DropReason::kTcpChallenged: return "tcp-challenged";
    case DropReason::kTcpDuplicateSyn: return "tcp-duplicate-syn";
    case DropReason::kTcpBufferFull: return "tcp-buffer-full";
    case DropReason::kTcpAfterClose: return "tcp-after-close";
    case DropReason::kTcpSocketLost: return "tcp-socket-lost";
    case DropReason::kTcpGivenUp: return "tcp-given-up";
    case DropReason::kUdpUnasked: return "udp-unasked";
    case DropReason::kUdpHeldFull: return "udp-held-full";
    case DropReason::kOverRate: return "over-rate";
    case DropReason::kUdpSendFailed: return "udp-send-failed";
    case DropReason::kFragmentDropped: return "fragment-dropped";
    case DropReason::kDeniedByPolicy: return "denied-by-policy";
    case DropReason::kHostAddress: return "host-address";
    case DropReason::kAddressUnlisted: return "address-unlisted";
    case DropReason::kNameDenied: return "name-denied";
    case DropReason::kNameUnlisted: return "name-unlisted";
    case DropReason::kPortUnlisted: return "port-unlisted";
    case DropReason::kPinExpired: return "pin-expired";
    case DropReason::kTooManyFlows: return "too-many-flows";
    case DropReason::kTooManyNewFlows: return "too-many-new-flows";
    case DropReason::kNoDescriptors: return "no-descriptors";
    case DropReason::kAskRefused: return "ask-refused";
    case DropReason::kAskTimedOut: return "ask-timeout";
    case DropReason::kAskNobody: return "ask-nobody";
    case DropReason::kAskQueueFull: return "ask-queue-full";
    case DropReason::kFirstBytesRefused: return "first-bytes-refused";
    case DropReason::kFirstBytesTimedOut: return "first-bytes-timeout";
    case DropReason::kFirstBytesFull: return "first-bytes-full";
    case DropReason::kNoServerName: return "no-sni";
    case DropReason::kServerNameMismatch: return "sni-mismatch";
    case DropReason::kEncryptedHello: return "ech";
    case DropReason::kNotTls: return "not-tls";
    case DropReason::kNotHttp: return "not-http";
    case DropReason::kHostMismatch: return "host-mismatch";
    case DropReason::kViaFailed: return "via-failed";
    case DropReason::kQuota: return "quota";
    case DropReason::kRevoked: return "revoked";
    case DropReason::kKilled: return "killed";
    case DropReason::kDnsPrivate: return "dns-private";
    case DropReason::kDnsBudget: return "dns-budget";
    case DropReason::kDnsType: return "dns-type";
    case DropReason::kPingAsked: return "ping-asked";
    case DropReason::kPingForbidden: return "ping-forbidden";
    case DropReason::kUnreachable: return "unreachable";
    case DropReason::kDnsRejected: return "dns-rejected";
    case DropReason::kDnsTooMany: return "dns-too-many";
    case DropReason::kIcmpIgnored: return "icmp-ignored";
    case DropReason::kLinkWriteFailed: return "link-write-failed";
  }
  return "unknown";
}

class DropCounters {
 public:
  void count(DropReason reason, std::uint64_t times = 1) {
    counts_[static_cast<std::size_t>(reason)] += times;
  }
  [[nodiscard]] std::uint64_t operator[](DropReason reason) const {
    return counts_[static_cast<std::size_t>(reason)];
  }

 private:
  std::array<std::uint64_t, kDropReasonCount> counts_{};
};

}  // namespace sluice::flow
