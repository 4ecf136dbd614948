#include "flow/engine/target_finder.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "dns/dns_relay.h"

namespace sluice::flow {
namespace {

[[nodiscard]] policy::Protocol protocol_of(wire::IpProtocol protocol) {
  if (protocol == wire::IpProtocol::kTcp) return policy::Protocol::kTcp;
  return protocol == wire::IpProtocol::kUdp ? policy::Protocol::kUdp : policy::Protocol::kIcmp;
}

// In turns, the first family first (RFC 8305, 4).
[[nodiscard]] std::vector<wire::IpAddress> in_turns(const std::vector<wire::IpAddress>& first,
                                                    const std::vector<wire::IpAddress>& second) {
  std::vector<wire::IpAddress> all;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) all.push_back(first[i]);
    if (i < second.size()) all.push_back(second[i]);
  }
  return all;
}

}  // namespace

[[gnu::cold]] void TargetFinder::find(const FindTarget& wanted, Relay relay, Turn turn) {
  const auto name = parts_.names.name(wanted.by.name);
  std::array<NameLookups::Question, 2> questions;
  const auto begun =
      name ? lookups_.begin(wanted.by.name, *name, &wanted, questions) : NameLookups::Begun::kFull;
  switch (begun) {
    case NameLookups::Begun::kJoined: return;
    case NameLookups::Begun::kFull:
      parts_.drops.count(DropReason::kDnsTooMany);
      tell(wanted, {}, turn);
      return;
    case NameLookups::Begun::kFresh: break;
  }
  for (const NameLookups::Question& question : questions) relay(question.client, question.message);
}

[[gnu::cold]] void TargetFinder::look_ahead(std::span<const dns::NameId> names, Relay relay) {
  for (const dns::NameId id : names) {
    const auto name = parts_.names.name(id);
    std::array<NameLookups::Question, 2> questions;
    if (!name || lookups_.begin(id, *name, nullptr, questions) != NameLookups::Begun::kFresh) {
      continue;
    }
    for (const NameLookups::Question& question : questions) {
      relay(question.client, question.message);
    }
  }
}

[[gnu::cold]] void TargetFinder::on_answer(const dns::DnsClient& client, ByteView message,
                                           Instant now) {
  const auto view = wire::DnsView::parse(message);
  const bool whole = view && dns::has_plain_question(*view);
  lookups_.on_answer(client, whole ? parts_.questions.leads_of(*view) : DnsJudge::Leads{}, now);
}

[[gnu::cold]] void TargetFinder::on_timer(Turn turn) {
  lookups_.on_timer(turn.now);
  tell_found(turn);
}

[[gnu::cold]] void TargetFinder::tell_found(Turn turn) {
  std::vector<NameLookups::Found> all;
  all.swap(lookups_.found());
  for (const NameLookups::Found& found : all) {
    for (const FindTarget& wanted : found.waiting) {
      FoundTarget answer{.verdict = found.verdict};
      const std::vector<wire::Endpoint> targets = targets_of(wanted, found, answer.verdict);
      answer.targets = targets;
      tell(wanted, answer, turn);
    }
  }
}

// Those that may be reached, best first. Where one may not, `verdict` says why.
std::vector<wire::Endpoint> TargetFinder::targets_of(const FindTarget& wanted,
                                                     const NameLookups::Found& found,
                                                     policy::Verdict& verdict) const {
  const bool v4 = wanted.key.guest.address.is_v4();
  std::vector<wire::Endpoint> targets;
  for (const wire::IpAddress& address :
       in_turns(v4 ? found.v4 : found.v6, v4 ? found.v6 : found.v4)) {
    if (targets.size() == FoundTarget::kTargetsMax) break;
    const wire::Endpoint real{address, wanted.key.remote.port};
    const policy::Verdict said =
        parts_.judge.judge_target(protocol_of(wanted.key.protocol), wanted.by, real);
    const Target target = parts_.targets.target_of(real);
    if (said != policy::Verdict::kAccepted) {
      verdict = said;
    } else if (target.kind == TargetKind::kHost) {
      targets.push_back(target.endpoint);
    }
  }
  return targets;
}

void TargetFinder::tell(const FindTarget& wanted, const FoundTarget& found, Turn turn) {
  const SlabHandle handle = wanted.flow.handle;
  switch (protocol_of(wanted.flow.protocol)) {
    case policy::Protocol::kTcp: parts_.tcp.on_found(TcpId{handle}, found, turn); break;
    case policy::Protocol::kUdp: parts_.udp.on_found(handle, found, turn); break;
    case policy::Protocol::kIcmp: parts_.ping.on_found(handle, found, turn); break;
  }
}

}  // namespace sluice::flow
