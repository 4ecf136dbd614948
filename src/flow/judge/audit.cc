#include "flow/judge/audit.h"

#include "flow/judge/reachable.h"

namespace sluice::flow {
namespace {

using policy::Verdict;

bool stays_refused(const JudgedFlow& judged) {
  if (judged.verdict == Verdict::kNotRoutable || judged.verdict == Verdict::kHostAddress) {
    return true;
  }
  return judged.verdict == Verdict::kDeniedByPolicy &&
         judged.by.rule == policy::RuleId{policy::RuleId::kBuiltIn};
}

NameSource source_of(Claim::Kind kind) {
  return kind == Claim::Kind::kTls ? NameSource::kServerName : NameSource::kHost;
}

}  // namespace

JudgedFlow Audit::judge_new(policy::Protocol protocol, const wire::Endpoint& remote, Instant now) {
  JudgedFlow judged = asked_.flows.judge_new(protocol, remote, now);
  if (judged.verdict == Verdict::kAccepted && !judged.ask) return judged;
  if (stays_refused(judged)) return judged;
  judged.by.would_refuse = judged.ask ? Verdict::kAskNobody : judged.verdict;
  judged.verdict = Verdict::kAccepted;
  judged.ask = judged.explain = false;
  // What it is for is looked at all the same: the address may have several names.
  const bool seen =
      protocol == policy::Protocol::kTcp && (speaks_tls(remote.port) || speaks_http(remote.port));
  judged.gate = seen ? Gate::kFirstBytes : Gate::kOpen;
  return judged;
}

bool Audit::accepts_still(policy::Protocol protocol, const wire::Endpoint& remote, NamedBy& by,
                          Instant now) {
  // By the new policy it may stay refused.
  if (asked_.flows.accepts_still(protocol, remote, by, now)) return true;
  return !stays_refused(asked_.flows.judge_new(protocol, remote, now));
}

Judged Audit::judge_claim(const FlowKey& key, const NamedBy& by, const Claim& claim, Instant now) {
  Judged judged = asked_.claims.judge_claim(key, by, claim, now);
  // What a later request asks for is not held back.
  judged.every_request = false;
  if (judged.verdict == Verdict::kAccepted) return judged;
  judged.by.would_refuse = judged.verdict;
  judged.verdict = Verdict::kAccepted;
  if (!claim.name) return judged;
  if (const auto id = names_.find(*claim.name)) {
    judged.by.name = *id;
    judged.by.source = source_of(claim.kind);
  }
  return judged;
}

Verdict Audit::judge_target(policy::Protocol protocol, const NamedBy& by,
                            const wire::Endpoint& target) {
  const Verdict verdict = asked_.flows.judge_target(protocol, by, target);
  const bool floor = verdict == Verdict::kNotRoutable || verdict == Verdict::kHostAddress ||
                     verdict == Verdict::kDeniedByPolicy;
  return floor ? verdict : Verdict::kAccepted;
}

RefusalWords Audit::words_of(const FlowKey& key, const Judged& judged) {
  return asked_.claims.words_of(key, judged);
}

std::optional<dns::LocalAnswer> Audit::judge_query(const wire::DnsQuestion& question, Instant now) {
  auto answer = asked_.queries.judge_query(question, now);
  // What says why it says so little is a refusal.
  if (answer && !answer->why.empty()) return std::nullopt;
  return answer;
}

dns::JudgedAnswer Audit::judge_answer(const wire::DnsView& answer, Instant now) {
  dns::JudgedAnswer judged = asked_.queries.judge_answer(answer, now);
  judged.instead.reset();
  return judged;
}

}  // namespace sluice::flow
