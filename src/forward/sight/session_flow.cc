#include "forward/sight/session_flow.h"

#include <cerrno>

#include "base/unreachable.h"
#include "sys/sys_error.h"

namespace sluice::forward {
namespace {

using policy::Outcome;
using policy::Verdict;

[[nodiscard]] SessionEnd failed_connect(int error) {
  if (sys::is_exhaustion(error)) return {Verdict::kNoDescriptors, Outcome::kNotAccepted};
  if (error == ECONNREFUSED) return {Verdict::kAccepted, Outcome::kRefused};
  if (error == ETIMEDOUT) return {Verdict::kAccepted, Outcome::kTimedOut};
  return {Verdict::kAccepted, Outcome::kUnreachable};
}

// The one port of a range that this session has.
[[nodiscard]] Place at_port(Place place, std::uint16_t port) {
  if (!place.is_unix()) place.port = port;
  place.port_count = 1;
  return place;
}

[[nodiscard]] bool is_name(const Place& place) {
  return !place.is_unix() && !place.host.empty() && place.host != "*" && !place.literal();
}

}  // namespace

SessionEnd end_of(SessionResult result, int error, bool udp) {
  switch (result) {
    case SessionResult::kOpened: return {Verdict::kAccepted, Outcome::kOpen};
    case SessionResult::kTargetClosed:
    case SessionResult::kClientClosed: return {Verdict::kAccepted, Outcome::kClosed};
    case SessionResult::kTargetReset: return {Verdict::kAccepted, Outcome::kResetByGuest};
    case SessionResult::kClientReset: return {Verdict::kAccepted, Outcome::kResetByHost};
    // Silence is how a conversation of datagrams ends.
    case SessionResult::kIdle:
      return {Verdict::kAccepted, udp ? Outcome::kClosed : Outcome::kTimedOut};
    case SessionResult::kStopped: return {Verdict::kAccepted, Outcome::kGivenUp};
    case SessionResult::kKilled: return {Verdict::kKilled, Outcome::kCutOff};
    case SessionResult::kConnectFailed: return failed_connect(error);
    case SessionResult::kNotAllowed: return {Verdict::kAddressUnlisted, Outcome::kNotAccepted};
    case SessionResult::kDenied: return {Verdict::kDeniedByPolicy, Outcome::kNotAccepted};
    case SessionResult::kLimited: return {Verdict::kTooManyFlows, Outcome::kNotAccepted};
    case SessionResult::kBadProxyHeader:
      return {Verdict::kFirstBytesRefused, Outcome::kNotAccepted};
  }
  unreachable("session result outside its enum");
}

SessionFlow::SessionFlow(const SessionRecord& session, As as)
    : listen_(to_string(at_port(session.rule->plan.listen, session.listen_port))) {
  const Rule& rule = session.rule->plan;
  if (session.target) {
    const Place& configured = rule.targets[session.target->target].place;
    const Place place = at_port(
        configured, static_cast<std::uint16_t>(configured.port + session.target->port_offset));
    target_ = to_string(place);
    if (const auto literal = place.literal()) record_.guest.address = *literal;
    if (!place.is_unix()) record_.guest.port.value = place.port;
    if (is_name(configured)) record_.name = configured.host;
  }
  const SessionEnd end = end_of(session.result, session.error, session.udp);
  forwarded_ = {.listen = listen_, .target = target_, .connecting = session.connecting};
  record_.protocol = session.udp ? policy::Protocol::kUdp : policy::Protocol::kTcp;
  record_.direction = telemetry::FlowDirection::kInbound;
  record_.peer = session.client;
  record_.name_source = "config";
  record_.opened = session.time - std::chrono::duration_cast<std::chrono::system_clock::duration>(
                                      session.duration);
  record_.duration = session.duration;
  record_.bytes_to_host = session.bytes.to_client;
  record_.bytes_to_guest = session.bytes.to_target;
  record_.verdict = end.verdict;
  record_.outcome = end.outcome;
  record_.number = session.number;
  record_.opening = as == As::kEvent && session.result == SessionResult::kOpened;
  // What a person ends is few, and none of it is left out.
  record_.told = session.result == SessionResult::kKilled;
  record_.path = telemetry::FlowPath::kRelay;
  record_.rule = rule.name;
  record_.generation = session.rule->generation;
  record_.forwarded = &forwarded_;
}

}  // namespace sluice::forward
