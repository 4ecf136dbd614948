// The first moment when names decide: the guest's question for one. A question is egress, too: only
// names that may be reached leave the host, and only the types of records that the policy lists.
// What is refused is answered here, as "no such name" or "nothing of that type" (never as REFUSED
// or SERVFAIL, for which a musl guest waits five seconds), with the reason for those who ask by
// EDNS.
//
// Of an answer the addresses that the guest may have are pinned to the name that it asked for.
// Reverse names are answered from pins, and go nowhere where the default refuses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dns/answer_filter.h"
#include "dns/names/name_book.h"
#include "dns/query_judge.h"
#include "flow/core/drop_reason.h"
#include "flow/core/named_by.h"
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
  DnsJudge(policy::Reach& reach, dns::NameBook& names, DropCounters& drops)
      : reach_(reach), names_(names), drops_(drops) {}

  // From here on. It must stay until the next one.
  void set_policy(const policy::EgressPolicy& policy) { policy_ = &policy; }

  [[nodiscard]] std::optional<dns::LocalAnswer> judge_query(const wire::DnsQuestion& question,
                                                            Instant now) override;
  [[nodiscard]] dns::JudgedAnswer judge_answer(const wire::DnsView& answer, Instant now) override;

  // The newest refusals, for whoever takes them out; more than kRefusedMax wait for nobody.
  static constexpr std::size_t kRefusedMax = 256;
  [[nodiscard]] std::vector<RefusedQuery>& refused() { return refused_; }

 private:
  class Rules;

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
  const policy::EgressPolicy* policy_ = nullptr;
  std::vector<RefusedQuery> refused_;
};

}  // namespace sluice::flow
