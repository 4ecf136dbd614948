// The first moment when names decide: the guest's question for one. A question is egress, too: only
// names that may be reached leave the host, and only the types of records that the policy lists.
// What is refused is answered here, as "no such name" or "nothing of that type" (never as REFUSED
// or SERVFAIL, for which a musl guest waits five seconds), with the reason for those who ask by
// EDNS.
//
// Of an answer the addresses that the guest may have are pinned to the name that it asked for.
// Reverse names are answered from pins, and go nowhere where the default refuses.
//
// Where the policy says so, and for each name that somebody is to be asked about, the answer is an
// address that stands for the name (dns/names/synthetic_names.h): nothing leaves the host before a
// connection to it is let through. A denied name may have one, too, so that who connects is told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dns/answer_filter.h"
#include "dns/names/name_book.h"
#include "dns/query_judge.h"
#include "flow/core/drop_reason.h"
#include "flow/core/guest_network.h"
#include "flow/core/named_by.h"
#include "flow/core/refusal_book.h"
#include "policy/egress/egress_policy.h"
#include "policy/reach.h"

namespace sluice::flow {

// A question that got no answer, or one whose answer was withheld.
struct RefusedQuery {
  wire::DomainName name{};
  wire::DnsType type{};
  policy::Verdict verdict{};
  policy::RuleId rule{};
};

class DnsJudge final : public dns::QueryJudge {
 public:
  // Nothing is owned.
  struct Books {
    dns::NameBook& names;
    RefusalBook& refusals;
  };
  DnsJudge(policy::Reach& reach, const Books& books, DropCounters& drops,
           const GuestNetwork& network)
      : reach_(reach),
        names_(books.names),
        drops_(drops),
        network_(network),
        refusals_(books.refusals) {}

  // From here on. It must stay until the next one.
  void set_policy(const policy::EgressPolicy& policy) { policy_ = &policy; }

  [[nodiscard]] std::optional<dns::LocalAnswer> judge_query(const wire::DnsQuestion& question,
                                                            Instant now) override;
  [[nodiscard]] dns::JudgedAnswer judge_answer(const wire::DnsView& answer, Instant now) override;

  // Of an answer to our own question for a name: where it leads, before anybody has judged that,
  // and nothing if the answer is none, or leads by a name that is denied.
  struct Leads {
    std::vector<wire::IpAddress> addresses{};
    policy::Verdict verdict = policy::Verdict::kAccepted;
  };
  [[nodiscard]] Leads leads_of(const wire::DnsView& answer) const;

  // Names that may be reached and were answered for by an address that stands for them: where they
  // lead will be asked soon. For whoever takes them out; more than kRefusedMax wait for nobody.
  [[nodiscard]] std::vector<dns::NameId>& answered() { return answered_; }
  // The newest refusals, for whoever takes them out; more than kRefusedMax wait for nobody.
  static constexpr std::size_t kRefusedMax = 256;
  [[nodiscard]] std::vector<RefusedQuery>& refused() { return refused_; }

 private:
  class Rules;
  class Chain;

  [[nodiscard]] dns::LocalAnswer deny(const wire::DnsQuestion& question,
                                      const policy::Ruled& ruled);
  // The address that stands for the name, or nothing of any other type.
  [[nodiscard]] dns::LocalAnswer stand_in(const wire::DnsQuestion& question, std::uint32_t ttl,
                                          dns::SyntheticUse use);
  // http://sluice.internal/ is our own address.
  [[nodiscard]] std::optional<dns::LocalAnswer> answer_for_pages(
      const wire::DnsQuestion& question) const;
  [[nodiscard]] bool has_family_of(wire::DnsType type) const;
  [[nodiscard]] bool is_word(const wire::DomainName& name) const;
  [[nodiscard]] bool spend(const wire::DomainName& name, Instant now);
  [[nodiscard]] dns::LocalAnswer refuse(const wire::DnsQuestion& question, policy::Verdict verdict,
                                        policy::RuleId rule);
  [[nodiscard]] std::optional<dns::LocalAnswer> judge_reverse(const wire::DnsQuestion& question,
                                                              const policy::Ruled& ruled,
                                                              Instant now);
  [[nodiscard]] bool may_ask_for(const wire::DnsQuestion& question,
                                 const policy::Ruled& ruled) const;

  policy::Reach& reach_;
  dns::NameBook& names_;
  DropCounters& drops_;
  const GuestNetwork& network_;
  RefusalBook& refusals_;
  const policy::EgressPolicy* policy_ = nullptr;
  std::vector<RefusedQuery> refused_;
  std::vector<dns::NameId> answered_;
};

}  // namespace sluice::flow
