#include "flow/judge/judge.h"

#include <algorithm>

#include "flow/judge/reachable.h"

namespace sluice::flow {
namespace {

using policy::Effect;
using policy::Protocol;
using policy::RuleId;
using policy::Verdict;

constexpr RuleId kBuiltIn{RuleId::kBuiltIn};

RuleId rule_of(const policy::Reached& reached) {
  if (reached.rule == nullptr) return reached.floor ? kBuiltIn : RuleId{};
  return reached.rule->id;
}

bool accepts(const std::optional<policy::Ruled>& ruled) {
  return ruled && ruled->effect == Effect::kAllow;
}

}  // namespace

JudgedFlow Judge::judge_new(Protocol protocol, const wire::Endpoint& remote, Instant now) {
  const Where where{protocol, remote};
  JudgedFlow judged = judge_unanswered(where, now);
  if (judged.ask) [[unlikely]]
    use_answer(judged, where);
  return judged;
}

// By the name that the flow goes by, or by its address where there is none: what was asked.
void Judge::use_answer(JudgedFlow& judged, const Where& where) const {
  const auto name = names_.name(judged.by.name);
  // Whoever is asked says yes to this name: it must be the one that the first bytes are for.
  if (name && where.protocol == Protocol::kTcp) {
    judged.gate = gate_of(where.remote.port, judged.by.rule);
  }
  const auto answered = name ? policy_->decided(*name, where.protocol, where.remote.port)
                             : policy_->decided(where.protocol, where.remote);
  if (!answered) return;
  judged.ask = false;
  judged.by.rule = answered->rule;
  if (answered->effect != Effect::kAllow) judged.verdict = Verdict::kAskRefused;
}

// What the rules on names say; where they ask, what was answered.
std::optional<policy::Ruled> Judge::said_of(const wire::DomainName& name,
                                            const Where& where) const {
  const auto ruled = policy_->for_name(name, where.protocol, where.remote.port);
  const bool asks = ruled ? ruled->effect == Effect::kAsk
                          : policy_->asks() && reach_.look(where.protocol, where.remote).ask;
  if (!asks) [[likely]]
    return ruled;
  const auto answered = policy_->decided(name, where.protocol, where.remote.port);
  return answered ? answered : ruled;
}

JudgedFlow Judge::judge_unanswered(const Where& where, Instant now) {
  const auto& [protocol, remote] = where;
  if (resolves_elsewhere(where)) {
    return {.verdict = Verdict::kDeniedByPolicy, .by = {.rule = kBuiltIn}};
  }
  if (dns::SyntheticNames::is_synthetic(remote.address)) return judge_synthetic(where);
  const policy::Reached reached = reach_.look(protocol, remote);
  const ByNames names = by_names(where, now);
  if (reached.verdict == Verdict::kNotRoutable || (reached.floor && !names.opens_floor)) {
    return {.verdict = reached.verdict, .by = {.rule = rule_of(reached)}};
  }
  NamedBy by{.name = names.only, .source = names.live == 1 ? NameSource::kDns : NameSource::kNone};
  if (names.allowed) {
    by.rule = names.allowed->rule;
    const bool gated = protocol == Protocol::kTcp;
    return {.gate = gated ? gate_of(remote.port, by.rule) : Gate::kOpen,
            .http = speaks_http(remote.port),
            .client_first = speaks_http(remote.port) || speaks_tls(remote.port),
            .by = by};
  }
  if (names.live > 0 && names.all_denied && names.denied) {
    by.rule = names.denied->rule;
    const bool answered = policy_->rule(by.rule).decision;
    return {.verdict = answered ? Verdict::kAskRefused : Verdict::kNameDenied, .by = by};
  }
  // What denies needs no pin that holds: the guest may know the address for longer than we do.
  if (names.live == 0 && names.was_denied && !names.was_allowed) {
    return {.verdict = Verdict::kNameDenied, .by = {.rule = names.was_denied->rule}};
  }
  if (names.asked) {
    by.rule = names.asked->rule;
    return {.ask = true, .by = by};
  }
  JudgedFlow judged = by_address(where, reached, names);
  judged.by.name = by.name;
  judged.by.source = by.source;
  return judged;
}

// DNS over TLS and QUIC, mDNS, LLMNR and NetBIOS: nothing of what they say would be seen.
bool Judge::resolves_elsewhere(const Where& where) const {
  if (where.protocol == Protocol::kIcmp || !policy_->dns().intercept) return false;
  constexpr std::array<std::uint16_t, 4> kPorts{137, 853, 5353, 5355};
  return std::ranges::find(kPorts, where.remote.port.value) != kPorts.end();
}

Judge::ByNames Judge::by_names(const Where& where, Instant now) {
  std::array<dns::Pinned, dns::Pins::kNamesOfAddressMax> pinned{};
  ByNames found;
  const bool open = is_public_through(where.remote.address, reach_.nat64_prefixes());
  const std::size_t count = names_.names_of(where.remote.address, pinned);
  for (const dns::Pinned& pin : std::span(pinned).first(count)) {
    const auto name = names_.name(pin.name);
    if (!name) continue;
    if (holds(pin.expires, now)) {
      add_live(found, where, {pin.name, *name, open});
      continue;
    }
    const auto ruled = said_of(*name, where);
    found.was_allowed = found.was_allowed || accepts(ruled);
    if (ruled && ruled->effect == Effect::kDeny) found.was_denied = ruled;
  }
  if (found.live != 1) found.only = {};
  return found;
}

void Judge::add_live(ByNames& found, const Where& where, const Live& live) const {
  ++found.live;
  found.only = live.id;
  const auto ruled = said_of(live.name, where);
  found.all_denied = found.all_denied && ruled && ruled->effect == Effect::kDeny;
  found.speaks_of_one = found.speaks_of_one || policy_->any_rule_for_name(live.name);
  if (!ruled) return;
  switch (ruled->effect) {
    case Effect::kAllow: {
      const bool listed =
          may_lead_to(policy_->rule(ruled->rule), where.remote.address, reach_.nat64_prefixes());
      // A rule may have listed it when it was pinned, and another speaks of the name since.
      if (!listed && !live.open) break;
      if (!found.allowed) found.allowed = ruled;
      found.opens_floor = found.opens_floor || listed;
      break;
    }
    case Effect::kAsk:
      if (!found.asked) found.asked = ruled;
      break;
    case Effect::kDeny:
      if (!found.denied) found.denied = ruled;
      break;
  }
}

JudgedFlow Judge::by_address(const Where& where, const policy::Reached& reached,
                             const ByNames& names) const {
  const RuleId rule = rule_of(reached);
  if (reached.verdict == Verdict::kAddressUnlisted) return by_default(names, reached);
  if (reached.verdict != Verdict::kAccepted) {
    return {.verdict = reached.verdict, .by = {.rule = rule}};
  }
  // Where a name is denied, what the flow is for must be seen, whoever let it through. QUIC does
  // not show it, and browsers go on with TCP at once.
  if (!policy_->denies_names()) return {.ask = reached.ask, .by = {.rule = rule}};
  const wire::Port port = where.remote.port;
  if (where.protocol == Protocol::kUdp && port.value == 443 &&
      !(reached.rule != nullptr && reached.rule->rule.protocol == Protocol::kUdp)) {
    return {.verdict = Verdict::kPortUnlisted, .by = {.rule = kBuiltIn}};
  }
  const bool seen = where.protocol == Protocol::kTcp && (speaks_tls(port) || speaks_http(port));
  return {.gate = seen ? Gate::kFirstBytes : Gate::kOpen,
          .http = speaks_http(port),
          .client_first = seen,
          .ask = reached.ask,
          .by = {.rule = rule}};
}

JudgedFlow Judge::by_default(const ByNames& names, const policy::Reached& reached) const {
  Verdict verdict = reached.verdict;
  if (names.live > 0) {
    verdict = names.speaks_of_one ? Verdict::kPortUnlisted : Verdict::kNameUnlisted;
  } else if (names.was_allowed) {
    verdict = Verdict::kPinExpired;
  }
  return {.verdict = verdict, .by = {}};
}

bool Judge::accepts_still(Protocol protocol, const wire::Endpoint& remote, NamedBy& by,
                          Instant now) {
  const Where where{protocol, remote};
  if (dns::SyntheticNames::is_synthetic(remote.address)) return accepts_synthetic(where, by);
  const policy::Reached reached = reach_.look(protocol, remote);
  const auto name = names_.name(by.name);
  if (!name) {
    // It may have several names, and its own was never said.
    const JudgedFlow judged = judge_new(protocol, remote, now);
    by.rule = judged.by.rule;
    return judged.verdict == Verdict::kAccepted && (!judged.ask || by.approved);
  }
  const auto ruled = said_of(*name, where);
  by.rule = ruled ? ruled->rule : rule_of(reached);
  if (ruled) {
    const bool stays =
        ruled->effect == Effect::kAllow || (ruled->effect == Effect::kAsk && by.approved);
    if (!stays || reached.verdict == Verdict::kNotRoutable) return false;
    return !reached.floor ||
           may_lead_to(policy_->rule(ruled->rule), remote.address, reach_.nat64_prefixes());
  }
  if (resolves_elsewhere(where) || reached.verdict != Verdict::kAccepted) return false;
  return !reached.ask || by.approved || accepts(policy_->decided(protocol, remote));
}

// Of a flow that a rule on names lets through: others may have the same address.
Gate Judge::gate_of(wire::Port port, RuleId rule) const {
  const bool off = speaks_http(port) ? policy_->host_of(rule) == policy::HostUse::kOff
                                     : policy_->sni_of(rule) == policy::SniUse::kOff;
  return off ? Gate::kOpen : Gate::kFirstBytes;
}

}  // namespace sluice::flow
