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
// Of an address that stands for a name: it does as long as the guest lives, but the policy may
// speak otherwise of the name; and of one that may not be reached, or not yet.
constexpr std::uint32_t kStandInTtl = 60;
constexpr std::uint32_t kUndecidedTtl = 1;
// Of the name in a reason, which is not to crowd out the rest.
constexpr std::size_t kNameShownMax = 60;

std::string shown(const wire::DomainName& name) {
  std::string text = name.to_text();
  if (text.size() <= kNameShownMax) return text;
  return "..." + text.substr(text.size() - kNameShownMax);
}

bool has_address(wire::DnsType type) {
  return type == wire::DnsType::kA || type == wire::DnsType::kAaaa;
}

// What these say of addresses and keys is not for a guest that is to come by one address alone.
bool names_services(wire::DnsType type) {
  return type == wire::DnsType::kHttps || type == wire::DnsType::kSvcb;
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

// Follows aliases as Rules do, and takes every address.
class DnsJudge::Chain final : public dns::AnswerRules {
 public:
  explicit Chain(const policy::EgressPolicy& policy) : policy_(policy) {}

  bool follows(const wire::DomainName& alias) override {
    const bool denied =
        policy_.for_query(alias).effect == Effect::kDeny && policy_.any_rule_for_name(alias);
    return !denied;
  }
  bool keeps(const wire::IpAddress& address, std::uint32_t) override {
    if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(address);
    return true;
  }

  std::vector<wire::IpAddress> addresses{};

 private:
  const policy::EgressPolicy& policy_;
};

std::optional<LocalAnswer> DnsJudge::judge_query(const wire::DnsQuestion& question, Instant now) {
  const wire::DomainName& name = question.name;
  const policy::Ruled ruled = policy_->for_query(name);
  if (question.type == wire::DnsType::kPtr && dns::reverse_address(name)) {
    return judge_reverse(question, ruled, now);
  }
  if (auto ours = answer_for_pages(question)) return ours;
  if (!dns::is_host_name(name)) return refuse(question, Verdict::kNameUnlisted, {});
  if (ruled.effect == Effect::kDeny) return deny(question, ruled);
  if (is_word(name)) return refuse(question, Verdict::kNameUnlisted, {});
  if (ruled.effect == Effect::kAsk) {
    return stand_in(question, kUndecidedTtl, dns::SyntheticUse::kReached);
  }
  if (!may_ask_for(question, ruled)) return refuse(question, Verdict::kDnsType, ruled.rule);
  if (!spend(name, now)) return refuse(question, Verdict::kDnsBudget, ruled.rule);
  const bool leads_somewhere = has_address(question.type) || names_services(question.type);
  if (policy_->dns().answers == policy::DnsAnswers::kSynthetic && leads_somewhere) {
    return stand_in(question, kStandInTtl, dns::SyntheticUse::kReached);
  }
  return std::nullopt;
}

std::optional<LocalAnswer> DnsJudge::answer_for_pages(const wire::DnsQuestion& question) const {
  static const auto kName = *wire::DomainName::from_text("sluice.internal");
  if (!policy_->dns().pages || !network_.dns || question.name != kName) return std::nullopt;
  LocalAnswer answer;
  if (has_address(question.type) && has_family_of(question.type)) {
    answer.address = question.type == wire::DnsType::kA ? network_.dns_v4 : network_.dns_v6;
    answer.ttl = kStandInTtl;
  }
  return answer;
}

// What a search list makes of a word is the name of no host.
bool DnsJudge::is_word(const wire::DomainName& name) const {
  const bool open = policy_->default_effect() == Effect::kAllow;
  return dns::label_count(name) == 1 && !open && !policy_->lists_name(name);
}

bool DnsJudge::spend(const wire::DomainName& name, Instant now) {
  const auto domain = policy_->budget_domain(name);
  if (!domain) return true;
  const policy::DnsBudget& budget = policy_->dns().budget;
  const dns::BudgetLimits limits{
      .names = budget.names,
      .bytes = static_cast<std::uint32_t>(std::min<std::size_t>(budget.bytes, 0xffff'ffff)),
      .per = budget.per};
  return names_.spend(*domain, name, limits, now);
}

LocalAnswer DnsJudge::deny(const wire::DnsQuestion& question, const policy::Ruled& ruled) {
  const bool listed = policy_->any_rule_for_name(question.name);
  LocalAnswer answer =
      refuse(question, listed ? Verdict::kNameDenied : Verdict::kNameUnlisted, ruled.rule);
  // Words are asked for by programs that try whether names which do not exist are answered for.
  const bool explain = policy_->dns().denied == policy::DeniedAnswer::kExplain &&
                       dns::label_count(question.name) > 1;
  if (!explain) return answer;
  LocalAnswer instead = stand_in(question, kUndecidedTtl, dns::SyntheticUse::kRefused);
  if (instead.rcode != DnsRcode::kNoError) return answer;
  instead.why = std::move(answer.why);
  return instead;
}

bool DnsJudge::has_family_of(wire::DnsType type) const {
  return type == wire::DnsType::kA ? network_.ipv4 : network_.ipv6;
}

LocalAnswer DnsJudge::stand_in(const wire::DnsQuestion& question, std::uint32_t ttl,
                               dns::SyntheticUse use) {
  if (!has_address(question.type) || question.klass != wire::DnsClass::kIn ||
      !has_family_of(question.type)) {
    return {};
  }
  const auto id = names_.give_synthetic(question.name, use);
  if (!id) return refuse(question, Verdict::kDnsBudget, {});
  const bool leads = use == dns::SyntheticUse::kReached && ttl == kStandInTtl;
  if (leads && answered_.size() < kRefusedMax) answered_.push_back(*id);
  const auto family =
      question.type == wire::DnsType::kA ? wire::IpFamily::kV4 : wire::IpFamily::kV6;
  return {.address = dns::SyntheticNames::address_of(*id, family), .ttl = ttl};
}

bool DnsJudge::may_ask_for(const wire::DnsQuestion& question, const policy::Ruled& ruled) const {
  // A name that nobody speaks of, where all is allowed that nobody speaks of.
  if (ruled.rule == RuleId{}) return true;
  return question.klass == wire::DnsClass::kIn &&
         std::ranges::find(policy_->dns().types, question.type) != policy_->dns().types.end();
}

std::optional<LocalAnswer> DnsJudge::judge_reverse(const wire::DnsQuestion& question,
                                                   const policy::Ruled& ruled, Instant now) {
  const auto address = *dns::reverse_address(question.name);
  if (const auto id = names_.synthetic_at(address)) {
    return LocalAnswer{.pointer = names_.name(*id), .ttl = kPointerTtl};
  }
  std::array<dns::Pinned, dns::Pins::kNamesOfAddressMax> pinned{};
  const std::size_t count = names_.names_of(address, pinned);
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
                    policy_->dns().denied != policy::DeniedAnswer::kNoData &&
                    !policy_->above_an_allowed_name(question.name);
  answer.rcode = none ? DnsRcode::kNxDomain : DnsRcode::kNoError;
  const policy::EgressRule& decided = policy_->rule(rule);
  answer.why =
      fmt::format("sluice: {}: {} ({})", shown(question.name), to_string(verdict), decided.id);
  if (policy_->dns().pages) {
    const std::uint32_t number = refusals_.note({.what = question.name.to_text(),
                                                 .verdict = verdict,
                                                 .rule = decided.id,
                                                 .note = decided.note},
                                                1);
    answer.why += fmt::format(", see http://sluice.internal/why/{}", number);
  }
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

DnsJudge::Leads DnsJudge::leads_of(const wire::DnsView& answer) const {
  Leads leads;
  if (answer.header().rcode != DnsRcode::kNoError) return leads;
  Chain chain(*policy_);
  std::vector<std::uint8_t> unused;
  switch (dns::filter_answer(answer, chain, unused)) {
    case dns::FilteredAnswer::kAsItIs:
    case dns::FilteredAnswer::kChanged: leads.addresses = std::move(chain.addresses); break;
    case dns::FilteredAnswer::kAliasRefused: leads.verdict = Verdict::kNameDenied; break;
    case dns::FilteredAnswer::kNothingLeft:
    case dns::FilteredAnswer::kMalformed: break;
  }
  return leads;
}

}  // namespace sluice::flow
