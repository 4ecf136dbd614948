// Joins the rules of a policy and the names that the guest asked for, at two of the three moments
// when names decide: when a flow begins, and when its first bytes say whom they are for. The third,
// which comes first, is the question for the name (dns_judge.h).
//
// A flow that begins is judged in this order:
//   1. the floor refuses (policy/reach.h), whatever name leads there;
//   2. a name of the address that a rule allows lets it through, TCP with its first bytes looked
//   at;
//   3. names that are all denied refuse it;
//   4. a name that is to be asked about asks;
//   5. the rules on addresses decide;
//   6. and at last the default, with the reason that says most.
// Ports of name resolution by other ways than ours are refused before all of these.
//
// One for each worker; the book of names is the guest's.
#pragma once

#include <optional>

#include "base/time.h"
#include "dns/names/name_book.h"
#include "flow/core/flow_judge.h"
#include "flow/core/flow_key.h"
#include "flow/gate/claim.h"
#include "policy/egress/egress_policy.h"
#include "policy/reach.h"

namespace sluice::flow {

class Judge final : public FlowJudge, public ClaimJudge {
 public:
  // Nothing is owned.
  Judge(policy::Reach& reach, dns::NameBook& names) : reach_(reach), names_(names) {}

  // From here on. It must stay until the next one.
  void set_policy(const policy::EgressPolicy& policy) { policy_ = &policy; }
  // Only with a policy by which names decide, here and below.
  [[nodiscard]] const policy::EgressPolicy& policy() const { return *policy_; }

  [[nodiscard]] JudgedFlow judge_new(policy::Protocol protocol, const wire::Endpoint& remote,
                                     Instant now) override;
  [[nodiscard]] bool accepts_still(policy::Protocol protocol, const wire::Endpoint& remote,
                                   const NamedBy& by, Instant now) override;
  [[nodiscard]] Judged judge_claim(const FlowKey& key, const Claim& claim, Instant now) override;
  [[nodiscard]] RefusalWords words_of(const Judged& judged) override;

 private:
  // What the names of an address say of a port of it.
  struct ByNames {
    std::size_t live = 0;                    // Names whose pins still hold.
    dns::NameId only{};                      // The name, where there is but one.
    std::optional<policy::Ruled> allowed{};  // By a name whose pin holds.
    std::optional<policy::Ruled> asked{};
    std::optional<policy::Ruled> denied{};
    bool all_denied = true;
    bool speaks_of_one = false;  // A rule speaks of a live name, be it on another port.
    bool was_allowed = false;    // By a name whose pin holds no longer.
    bool opens_floor = false;    // ... and that name may lead to what is not public.
  };
  struct Where {
    policy::Protocol protocol;
    const wire::Endpoint& remote;
  };

  struct Live {
    dns::NameId id{};
    const wire::DomainName& name;
    bool open = false;  // The address is public.
  };

  [[nodiscard]] ByNames by_names(const Where& where, Instant now);
  void add_live(ByNames& found, const Where& where, const Live& live) const;
  [[nodiscard]] JudgedFlow by_address(const Where& where, const policy::Reached& reached,
                                      const ByNames& names) const;
  [[nodiscard]] JudgedFlow by_default(const ByNames& names, const policy::Reached& reached) const;
  [[nodiscard]] bool resolves_elsewhere(const Where& where) const;
  [[nodiscard]] bool holds(Instant expires, Instant now) const {
    return now < expires + policy_->dns().grace;
  }
  [[nodiscard]] policy::SniUse sni_of(policy::RuleId rule) const;
  [[nodiscard]] policy::HostUse host_of(policy::RuleId rule) const;
  [[nodiscard]] Gate gate_of(wire::Port port, policy::RuleId rule) const;
  [[nodiscard]] Judged judge_named(const FlowKey& key, const Claim& claim, Instant now);
  [[nodiscard]] Judged judge_unnamed(const FlowKey& key, const Claim& claim, Instant now);
  [[nodiscard]] bool open_by_address(const wire::Endpoint& remote, policy::RuleId& rule) const;
  [[nodiscard]] Judged accepted(NamedBy by) const;

  policy::Reach& reach_;
  dns::NameBook& names_;
  const policy::EgressPolicy* policy_ = nullptr;
};

}  // namespace sluice::flow
