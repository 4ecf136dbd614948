#include "flow/judge/dns_judge.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "dns/names/host_name.h"
#include "flow/judge/reachable.h"

namespace sluice::flow {
namespace {

using dns::LocalAnswer;
using policy::Effect;
using policy::RuleId;
using policy::Verdict;
using wire::DnsRcode;

constexpr std::uint32_t kPointerTtl = 60;
// Of the name in a reason, which is not to crowd out the rest.
constexpr std::size_t kNameShownMax = 60;

std::string shown(const wire::DomainName& name) {
  std::string text = name.to_text();
  if (text.size() <= kNameShownMax) return text;
  return "..." + text.substr(text.size() - kNameShownMax);
}

// A denial says "no such name" only of names of which it is known.
bool denies_the_name(Verdict verdict) {
  return verdict == Verdict::kNameDenied || verdict == Verdict::kNameUnlisted ||
         verdict == Verdict::kDnsBudget;
}

}  // namespace

// What of an answer's names and addresses is for the guest.
class DnsJudge::Rules final : public dns::AnswerRules {
 public:
  Rules(DnsJudge& judge, const wire::DomainName& name, Instant now)
      : judge_(judge),
        policy_(*judge.policy_),
        name_(name),
        now_(now),
        rule_(policy_.for_query(name).rule) {}

  // A denial follows aliases, an allowance does not.
  bool follows(const wire::DomainName& alias) override {
    const policy::Ruled ruled = policy_.for_query(alias);
    const bool denied = ruled.effect == Effect::kDeny && policy_.any_rule_for_name(alias);
    if (denied) refused_by = ruled.rule;
    return !denied;
  }

  bool keeps(const wire::IpAddress& address, std::uint32_t ttl) override {
    const auto nat64 = judge_.reach_.nat64_prefixes();
    const bool listed = may_lead_to(policy_.rule(rule_), address, nat64);
    constexpr wire::Port kAny{443};
    const policy::Reached reached = judge_.reach_.look(policy::Protocol::kTcp, {address, kAny});
    const bool by_default = policy_.default_effect() == Effect::kAllow;
    if (!listed && !reached.floor && !is_public_through(address, nat64)) {
      // Open to whoever knows the address, and so nothing that a name could open.
      return by_default || is_opened(policy_, address);
    }
    if (!listed && reached.floor) return false;
    const auto life = std::max<Duration>(std::chrono::seconds(ttl), policy_.dns().min_ttl);
    return judge_.names_.pin(name_, address, now_ + life, now_).has_value() || by_default;
  }

  RuleId refused_by{};

 private:
  DnsJudge& judge_;
  const policy::EgressPolicy& policy_;
  const wire::DomainName& name_;
  Instant now_;
  RuleId rule_;
};

std::optional<LocalAnswer> DnsJudge::judge_query(const wire::DnsQuestion& question, Instant now) {
  const wire::DomainName& name = question.name;
  const policy::Ruled ruled = policy_->for_query(name);
  if (question.type == wire::DnsType::kPtr && dns::reverse_address(name)) {
    return judge_reverse(question, ruled, now);
  }
  if (!dns::is_host_name(name)) return refuse(question, Verdict::kNameUnlisted, {});
  if (ruled.effect != Effect::kAllow) {
    const bool listed = policy_->any_rule_for_name(name);
    return refuse(question, listed ? Verdict::kNameDenied : Verdict::kNameUnlisted, ruled.rule);
  }
  // What a search list makes of a word is the name of no host.
  const bool open = policy_->default_effect() == Effect::kAllow;
  if (dns::label_count(name) == 1 && !open && !policy_->lists_name(name)) {
    return refuse(question, Verdict::kNameUnlisted, {});
  }
  if (!may_ask_for(question, ruled)) return refuse(question, Verdict::kDnsType, ruled.rule);
  if (const auto domain = policy_->budget_domain(name)) {
    const policy::DnsBudget& budget = policy_->dns().budget;
    const dns::BudgetLimits limits{
        .names = budget.names,
        .bytes = static_cast<std::uint32_t>(std::min<std::size_t>(budget.bytes, 0xffff'ffff)),
        .per = budget.per};
    if (!names_.spend(*domain, name, limits, now)) {
      return refuse(question, Verdict::kDnsBudget, ruled.rule);
    }
  }
  return std::nullopt;
}

bool DnsJudge::may_ask_for(const wire::DnsQuestion& question, const policy::Ruled& ruled) const {
  // A name that nobody speaks of, where all is allowed that nobody speaks of.
  if (ruled.rule == RuleId{}) return true;
  return question.klass == wire::DnsClass::kIn &&
         std::ranges::find(policy_->dns().types, question.type) != policy_->dns().types.end();
}

std::optional<LocalAnswer> DnsJudge::judge_reverse(const wire::DnsQuestion& question,
                                                   const policy::Ruled& ruled, Instant now) {
  std::array<dns::Pinned, dns::Pins::kNamesOfAddressMax> pinned{};
  const std::size_t count = names_.names_of(*dns::reverse_address(question.name), pinned);
  for (const dns::Pinned& pin : std::span(pinned).first(count)) {
    if (now >= pin.expires + policy_->dns().grace) continue;
    if (auto name = names_.name(pin.name)) {
      return LocalAnswer{.pointer = *name, .ttl = kPointerTtl};
    }
  }
  if (ruled.effect == Effect::kAllow && ruled.rule == RuleId{}) return std::nullopt;
  return refuse(question, Verdict::kNameUnlisted, ruled.rule);
}

LocalAnswer DnsJudge::refuse(const wire::DnsQuestion& question, Verdict verdict, RuleId rule) {
  drops_.count(reason_of(verdict));
  if (refused_.size() < kRefusedMax) {
    refused_.push_back({question.name, question.type, verdict, rule});
  }
  LocalAnswer answer;
  const bool none = denies_the_name(verdict) && dns::is_host_name(question.name) &&
                    policy_->dns().denied == policy::DeniedAnswer::kNxDomain &&
                    !policy_->above_an_allowed_name(question.name);
  answer.rcode = none ? DnsRcode::kNxDomain : DnsRcode::kNoError;
  answer.why = fmt::format("sluice: {}: {} ({})", shown(question.name), to_string(verdict),
                           policy_->rule(rule).id);
  return answer;
}

dns::JudgedAnswer DnsJudge::judge_answer(const wire::DnsView& answer, Instant now) {
  const wire::DnsQuestion& question = *answer.question();
  if (answer.header().rcode != DnsRcode::kNoError) return {};
  Rules rules(*this, question.name, now);
  dns::JudgedAnswer judged;
  switch (dns::filter_answer(answer, rules, judged.changed)) {
    case dns::FilteredAnswer::kAsItIs: judged.changed.clear(); break;
    case dns::FilteredAnswer::kChanged: break;
    case dns::FilteredAnswer::kNothingLeft:
      judged.instead = refuse(question, Verdict::kDnsPrivate, {});
      break;
    case dns::FilteredAnswer::kAliasRefused:
      judged.instead = refuse(question, Verdict::kNameDenied, rules.refused_by);
      break;
    case dns::FilteredAnswer::kMalformed:
      // As if the resolver had found nothing: what it meant is nobody's guess.
      judged.instead = LocalAnswer{.rcode = DnsRcode::kNoError, .why = "sluice: malformed answer"};
      break;
  }
  return judged;
}

}  // namespace sluice::flow
