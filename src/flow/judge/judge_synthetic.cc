// Flows to addresses that stand for names: what is said of the one name, and then of where it
// leads.
#include "dns/names/synthetic_names.h"
#include "flow/judge/judge.h"
#include "flow/judge/reachable.h"

namespace sluice::flow {
namespace {

using policy::Effect;
using policy::HostUse;
using policy::Protocol;
using policy::Ruled;
using policy::RuleId;
using policy::SniUse;
using policy::Verdict;

// Where a refusal can be told in the guest's own protocol.
bool can_be_explained(Protocol protocol, wire::Port port) {
  return protocol == Protocol::kTcp && (port.value == 443 || port.value == 80);
}

}  // namespace

std::optional<Judge::Synthetic> Judge::synthetic_at(const wire::IpAddress& address) const {
  const auto id = names_.synthetic_at(address);
  if (!id) return std::nullopt;
  const auto name = names_.name(*id);
  return name ? std::optional(Synthetic{*id, *name}) : std::nullopt;
}

// Where no rule on names speaks of this port, it is left to the addresses, which judge_target()
// asks for in the end.
Judge::NameRuled Judge::ruled_by_name(const wire::DomainName& name, Protocol protocol,
                                      wire::Port port) const {
  const auto ruled = policy_->for_name(name, protocol, port);
  return {.ruled = ruled.value_or(policy_->for_unnamed_query()), .by_name = ruled.has_value()};
}

Judge::NameRuled Judge::said_by_name(const wire::DomainName& name, Protocol protocol,
                                     wire::Port port) const {
  NameRuled said = ruled_by_name(name, protocol, port);
  if (said.ruled.effect != Effect::kAsk) return said;
  if (const auto answered = policy_->decided(name, protocol, port)) {
    said = {.ruled = *answered, .by_name = true};
  }
  return said;
}

Verdict Judge::why_denied(const wire::DomainName& name, const NameRuled& ruled) const {
  if (ruled.by_name) return Verdict::kNameDenied;
  if (!policy_->any_rule_for_name(name)) return Verdict::kNameUnlisted;
  return policy_->for_query(name).effect == Effect::kDeny ? Verdict::kNameDenied
                                                          : Verdict::kPortUnlisted;
}

JudgedFlow Judge::judge_synthetic(const Where& where) const {
  const auto found = synthetic_at(where.remote.address);
  if (!found) return {.verdict = Verdict::kAddressUnlisted, .by = {}};
  const NameRuled ruled = ruled_by_name(found->name, where.protocol, where.remote.port);
  const NamedBy by{.name = found->id, .rule = ruled.ruled.rule, .source = NameSource::kSynthetic};
  switch (ruled.ruled.effect) {
    case Effect::kAllow: {
      if (ruled.left_to_addresses()) return judge_by_addresses_to_come(where, by);
      const bool gated = where.protocol == Protocol::kTcp;
      return {.gate = gated ? gate_of(where.remote.port, by.rule) : Gate::kOpen,
              .http = speaks_http(where.remote.port),
              .by = by};
    }
    case Effect::kAsk: return {.ask = true, .by = by};
    case Effect::kDeny: break;
  }
  const Verdict why = why_denied(found->name, ruled);
  return {.verdict = why,
          .explain = why != Verdict::kPortUnlisted &&
                     policy_->dns().denied == policy::DeniedAnswer::kExplain &&
                     can_be_explained(where.protocol, where.remote.port),
          .by = by};
}

// As by_address() has it of an address that is let through.
JudgedFlow Judge::judge_by_addresses_to_come(const Where& where, const NamedBy& by) const {
  if (!policy_->denies_names()) return {.by = by};
  const wire::Port port = where.remote.port;
  if (where.protocol == Protocol::kUdp && port.value == 443) {
    return {.verdict = Verdict::kPortUnlisted, .by = by};
  }
  const bool seen = where.protocol == Protocol::kTcp && (speaks_tls(port) || speaks_http(port));
  return {.gate = seen ? Gate::kFirstBytes : Gate::kOpen, .by = by};
}

Verdict Judge::judge_target(Protocol protocol, const NamedBy& by, const wire::Endpoint& target) {
  if (dns::SyntheticNames::is_synthetic(target.address)) return Verdict::kNotRoutable;
  const policy::Reached reached = reach_.look(protocol, target);
  if (reached.verdict == Verdict::kNotRoutable) return reached.verdict;
  const auto name = names_.name(by.name);
  if (!name) return Verdict::kAddressUnlisted;
  const auto ruled = policy_->for_name(*name, protocol, target.port);
  if (!ruled) {
    // Nobody was asked about what only this address's rule asks about.
    const bool unasked = reached.ask && policy_->for_unnamed_query().effect == Effect::kAllow;
    return unasked ? Verdict::kPortUnlisted : reached.verdict;
  }
  const auto nat64 = reach_.nat64_prefixes();
  if (may_lead_to(policy_->rule(ruled->rule), target.address, nat64)) return Verdict::kAccepted;
  if (!reached.floor && is_public_through(target.address, nat64)) return Verdict::kAccepted;
  // Open to whoever knows the address, and so to this name, too.
  const bool open =
      policy_->default_effect() == Effect::kAllow || is_opened(*policy_, target.address);
  const bool reachable = reached.verdict == Verdict::kAccepted && !reached.ask;
  return open && reachable ? Verdict::kAccepted : Verdict::kDnsPrivate;
}

bool Judge::accepts_synthetic(const Where& where, NamedBy& by) const {
  const auto found = synthetic_at(where.remote.address);
  if (!found || resolves_elsewhere(where)) return false;
  const NameRuled said = said_by_name(found->name, where.protocol, where.remote.port);
  by.rule = said.ruled.rule;
  return said.ruled.effect == Effect::kAllow || (said.ruled.effect == Effect::kAsk && by.approved);
}

Judged Judge::judge_synthetic_claim(const FlowKey& key, const NamedBy& begun,
                                    const Claim& claim) const {
  const auto found = synthetic_at(key.remote.address);
  if (!found) return {.verdict = Verdict::kAddressUnlisted};
  const wire::Port port = key.remote.port;
  const NameRuled said = said_by_name(found->name, Protocol::kTcp, port);
  NamedBy by{.name = found->id,
             .rule = said.ruled.rule,
             .source = NameSource::kSynthetic,
             .approved = begun.approved};
  if (said.ruled.effect == Effect::kDeny) {
    return {.verdict = why_denied(found->name, said), .by = by};
  }
  const bool http = claim.kind == Claim::Kind::kHttp;
  if (claim.name == found->name) {
    by.source = http ? NameSource::kHost : NameSource::kServerName;
    return accepted(by);
  }
  if (!claim.name) {
    const Verdict verdict =
        said.left_to_addresses() ? Verdict::kAccepted : judge_nameless(port, claim.kind, by.rule);
    return verdict == Verdict::kAccepted ? accepted(by) : Judged{.verdict = verdict, .by = by};
  }
  // Another name: only where names are not looked at, and not one that is denied.
  const auto claimed = policy_->for_name(*claim.name, Protocol::kTcp, port);
  const bool unlooked =
      http ? policy_->host_of(by.rule) == HostUse::kOff : policy_->sni_of(by.rule) == SniUse::kOff;
  if ((unlooked || said.left_to_addresses()) && (!claimed || claimed->effect == Effect::kAllow)) {
    return accepted(by);
  }
  return {.verdict = http ? Verdict::kHostMismatch : Verdict::kServerNameMismatch, .by = by};
}

}  // namespace sluice::flow
