// Judges that ask others and let through what those refuse, noting why (--audit): for a policy that
// is tried out. What no policy opens by itself stays refused: addresses that no network carries,
// the host's own, the built-in denials, and resolvers that are not ours.
//
// A flow that would have been refused says so in its NamedBy; a question's refusal is noted by the
// judge that is asked. One for each worker.
#pragma once

#include "dns/names/name_book.h"
#include "dns/query_judge.h"
#include "flow/core/flow_judge.h"
#include "flow/gate/claim.h"

namespace sluice::flow {

class Audit final : public FlowJudge, public ClaimJudge, public dns::QueryJudge {
 public:
  struct Asked {
    FlowJudge& flows;
    ClaimJudge& claims;
    dns::QueryJudge& queries;
  };
  // Nothing is owned.
  Audit(const Asked& asked, dns::NameBook& names) : asked_(asked), names_(names) {}

  [[nodiscard]] JudgedFlow judge_new(policy::Protocol protocol, const wire::Endpoint& remote,
                                     Instant now) override;
  [[nodiscard]] bool accepts_still(policy::Protocol protocol, const wire::Endpoint& remote,
                                   NamedBy& by, Instant now) override;
  [[nodiscard]] Judged judge_claim(const FlowKey& key, const NamedBy& by, const Claim& claim,
                                   Instant now) override;
  [[nodiscard]] policy::Verdict judge_target(policy::Protocol protocol, const NamedBy& by,
                                             const wire::Endpoint& target) override;
  [[nodiscard]] RefusalWords words_of(const FlowKey& key, const Judged& judged) override;
  [[nodiscard]] std::optional<dns::LocalAnswer> judge_query(const wire::DnsQuestion& question,
                                                            Instant now) override;
  [[nodiscard]] dns::JudgedAnswer judge_answer(const wire::DnsView& answer, Instant now) override;

 private:
  Asked asked_;
  dns::NameBook& names_;
};

}  // namespace sluice::flow
