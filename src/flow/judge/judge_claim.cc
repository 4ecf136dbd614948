// What the first bytes of a flow say, against pins and rules.
#include "flow/judge/judge.h"
#include "flow/judge/reachable.h"

namespace sluice::flow {
namespace {

using policy::Effect;
using policy::HostUse;
using policy::Protocol;
using policy::RuleId;
using policy::SniUse;
using policy::Verdict;

Verdict mismatch(Claim::Kind kind) {
  return kind == Claim::Kind::kHttp ? Verdict::kHostMismatch : Verdict::kServerNameMismatch;
}

NameSource source_of(Claim::Kind kind) {
  switch (kind) {
    case Claim::Kind::kTls: return NameSource::kServerName;
    case Claim::Kind::kHttp: return NameSource::kHost;
    case Claim::Kind::kOpaque: return NameSource::kNone;
  }
  unreachable("claim outside its enum");
}

}  // namespace

Judged Judge::judge_claim(const FlowKey& key, const Claim& claim, Instant now) {
  if (claim.encrypted_hello && policy_->tls().encrypted_hello == policy::EncryptedHello::kRefuse) {
    return {.verdict = Verdict::kEncryptedHello};
  }
  return claim.name ? judge_named(key, claim, now) : judge_unnamed(key, claim, now);
}

// The name must be one that the address was learnt by, and that a rule allows; but where the
// address is open whatever is there, any name that is not denied will do.
Judged Judge::judge_named(const FlowKey& key, const Claim& claim, Instant now) {
  const auto ruled = policy_->for_name(*claim.name, Protocol::kTcp, key.remote.port);
  if (ruled && ruled->effect != Effect::kAllow) {
    return {.verdict = mismatch(claim.kind), .by = {.rule = ruled->rule}};
  }
  NamedBy by{.source = source_of(claim.kind)};
  if (const auto id = names_.find(*claim.name)) {
    const auto expires = names_.expiry(*id, key.remote.address);
    if (expires && holds(*expires, now)) by.name = *id;
  }
  if (ruled && by.name.valid()) {
    by.rule = ruled->rule;
    return accepted(by);
  }
  if (open_by_address(key.remote, by.rule)) return accepted(by);
  const ByNames names = by_names({Protocol::kTcp, key.remote}, now);
  const bool unlooked = names.allowed && (claim.kind == Claim::Kind::kHttp
                                              ? host_of(names.allowed->rule) == HostUse::kOff
                                              : sni_of(names.allowed->rule) == SniUse::kOff);
  if (unlooked) {
    return accepted({.name = names.only, .rule = names.allowed->rule, .source = NameSource::kDns});
  }
  return {.verdict = mismatch(claim.kind), .by = by};
}

Judged Judge::judge_unnamed(const FlowKey& key, const Claim& claim, Instant now) {
  NamedBy by;
  if (open_by_address(key.remote, by.rule)) return accepted(by);
  const ByNames names = by_names({Protocol::kTcp, key.remote}, now);
  if (!names.allowed) return {.verdict = mismatch(claim.kind)};
  by = {.name = names.only, .rule = names.allowed->rule, .source = NameSource::kDns};
  const bool sni = sni_of(by.rule) == SniUse::kRequire;
  const bool host = host_of(by.rule) != HostUse::kOff;
  switch (claim.kind) {
    case Claim::Kind::kTls:
      if (sni) return {.verdict = Verdict::kNoServerName, .by = by};
      break;
    case Claim::Kind::kHttp:
      if (host) return {.verdict = Verdict::kHostMismatch, .by = by};
      break;
    case Claim::Kind::kOpaque:
      if (sni && speaks_tls(key.remote.port)) return {.verdict = Verdict::kNotTls, .by = by};
      if (host && speaks_http(key.remote.port)) return {.verdict = Verdict::kNotHttp, .by = by};
      break;
  }
  return accepted(by);
}

bool Judge::open_by_address(const wire::Endpoint& remote, RuleId& rule) const {
  const policy::Reached reached = reach_.look(Protocol::kTcp, remote);
  if (reached.verdict != Verdict::kAccepted || reached.ask) return false;
  if (reached.rule != nullptr) rule = reached.rule->id;
  return true;
}

Judged Judge::accepted(NamedBy by) const {
  return {.every_request = host_of(by.rule) == HostUse::kEveryRequest, .by = by};
}

RefusalWords Judge::words_of(const Judged& judged) {
  const policy::EgressRule& rule = policy_->rule(judged.by.rule);
  return {.rule = rule.id, .note = rule.note};
}

}  // namespace sluice::flow
