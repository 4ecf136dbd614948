// What the first bytes of a flow say, against pins and rules.
#include <string>
#include <utility>

#include "dns/names/synthetic_names.h"
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

Judged Judge::judge_claim(const FlowKey& key, const NamedBy& by, const Claim& claim, Instant now) {
  const Judged judged = look_at(key, by, claim, now);
  const bool passed = judged.verdict == Verdict::kAccepted;
  ++(passed ? counters_.passed : counters_.refused)[static_cast<std::size_t>(claim.kind)];
  return judged;
}

Judged Judge::look_at(const FlowKey& key, const NamedBy& by, const Claim& claim, Instant now) {
  if (claim.encrypted_hello && policy_->tls().encrypted_hello == policy::EncryptedHello::kRefuse) {
    return {.verdict = Verdict::kEncryptedHello};
  }
  if (dns::SyntheticNames::is_synthetic(key.remote.address)) {
    return judge_synthetic_claim(key, by, claim);
  }
  Judged judged =
      claim.name ? judge_named(key, by, claim, now) : judge_unnamed(key, by, claim, now);
  // Who was asked about an address alone said yes to any name of it.
  judged.by.approved = by.approved && (!by.name.valid() || judged.by.name == by.name);
  return judged;
}

// The name must be one that the address was learnt by, and that a rule allows; but where the
// address is open whatever is there, any name that is not denied will do. Who let the flow through
// when asked, did so for its name, or for its address where it had none.
Judged Judge::judge_named(const FlowKey& key, const NamedBy& begun, const Claim& claim,
                          Instant now) {
  auto ruled = said_of(*claim.name, {Protocol::kTcp, key.remote});
  const bool undecided = !ruled || ruled->effect == Effect::kAsk;
  if (begun.approved && undecided && names_.find(*claim.name) == begun.name) {
    ruled = policy::Ruled{Effect::kAllow, begun.rule};
  }
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
  if (open_by_address(key.remote, begun, by.rule)) return accepted(by);
  const ByNames names = by_names({Protocol::kTcp, key.remote}, now);
  const bool unlooked =
      names.allowed &&
      (claim.kind == Claim::Kind::kHttp ? policy_->host_of(names.allowed->rule) == HostUse::kOff
                                        : policy_->sni_of(names.allowed->rule) == SniUse::kOff);
  if (unlooked) {
    return accepted({.name = names.only, .rule = names.allowed->rule, .source = NameSource::kDns});
  }
  return {.verdict = mismatch(claim.kind), .by = by};
}

Judged Judge::judge_unnamed(const FlowKey& key, const NamedBy& begun, const Claim& claim,
                            Instant now) {
  NamedBy by;
  if (open_by_address(key.remote, begun, by.rule)) return accepted(by);
  const ByNames names = by_names({Protocol::kTcp, key.remote}, now);
  if (names.allowed) {
    by = {.name = names.only, .rule = names.allowed->rule, .source = NameSource::kDns};
  } else if (begun.approved) {
    by = begun;
  } else {
    return {.verdict = mismatch(claim.kind)};
  }
  const Verdict verdict = judge_nameless(key.remote.port, claim.kind, by.rule);
  return verdict == Verdict::kAccepted ? accepted(by) : Judged{.verdict = verdict, .by = by};
}

Verdict Judge::judge_nameless(wire::Port port, Claim::Kind kind, RuleId rule) const {
  const bool sni = policy_->sni_of(rule) == SniUse::kRequire;
  const bool host = policy_->host_of(rule) != HostUse::kOff;
  switch (kind) {
    case Claim::Kind::kTls: return sni ? Verdict::kNoServerName : Verdict::kAccepted;
    case Claim::Kind::kHttp: return host ? Verdict::kHostMismatch : Verdict::kAccepted;
    case Claim::Kind::kOpaque: break;
  }
  if (sni && speaks_tls(port)) return Verdict::kNotTls;
  return host && speaks_http(port) ? Verdict::kNotHttp : Verdict::kAccepted;
}

bool Judge::open_by_address(const wire::Endpoint& remote, const NamedBy& begun,
                            RuleId& rule) const {
  const policy::Reached reached = reach_.look(Protocol::kTcp, remote);
  if (reached.verdict != Verdict::kAccepted) return false;
  if (!reached.ask) {
    if (reached.rule != nullptr) rule = reached.rule->id;
    return true;
  }
  if (begun.name.valid()) return false;
  const auto answered = policy_->decided(Protocol::kTcp, remote);
  const bool allowed = answered && answered->effect == Effect::kAllow;
  if (!allowed && !begun.approved) return false;
  rule = allowed ? answered->rule : begun.rule;
  return true;
}

Judged Judge::accepted(NamedBy by) const {
  return {.every_request = policy_->host_of(by.rule) == HostUse::kEveryRequest, .by = by};
}

RefusalWords Judge::words_of(const FlowKey& key, const Judged& judged) {
  const policy::EgressRule& rule = policy_->rule(judged.by.rule);
  RefusalWords words{.rule = rule.id, .note = rule.note};
  // It is counted once the flow has ended.
  if (policy_->dns().pages) words.number = note_refusal(key, judged.verdict, judged.by, 0);
  return words;
}

std::uint32_t Judge::note_refusal(const FlowKey& key, Verdict verdict, const NamedBy& by,
                                  std::uint64_t times) {
  const auto name = names_.name(by.name);
  const bool echo =
      key.protocol != wire::IpProtocol::kTcp && key.protocol != wire::IpProtocol::kUdp;
  std::string what = name ? name->to_text() : wire::to_string(key.remote.address);
  if (echo) {
    what += "/icmp";
  } else {
    const bool tcp = key.protocol == wire::IpProtocol::kTcp;
    what += ":" + std::to_string(key.remote.port.value) + (tcp ? "/tcp" : "/udp");
  }
  const policy::EgressRule& rule = policy_->rule(by.rule);
  return refusals_.note(
      {.what = std::move(what), .verdict = verdict, .rule = rule.id, .note = rule.note}, times);
}

}  // namespace sluice::flow
