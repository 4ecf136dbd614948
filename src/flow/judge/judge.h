// Joins the rules of a policy and the names that the guest asked for, at two of the three moments
// when names decide: when a flow begins, and when its first bytes say whom they are for. The third,
// which comes first, is the question for the name (dns_judge.h).
//
// A flow that begins is judged in this order:
//   1. the floor refuses (policy/reach.h), whatever name leads there;
//   2. a name of the address that a rule allows lets it through, TCP with its first bytes looked
//   at;
//   3. names that are all denied refuse it;
//   4. a name that is to be asked about asks, unless it was answered for more than one flow;
//   5. the rules on addresses decide;
//   6. and at last the default, with the reason that says most.
// Where the last two ask, an answer on the flow's name, or its address, counts as well.
// Ports of name resolution by other ways than ours are refused before all of these.
//
// An address that stands for a name (dns/names/synthetic_names.h) is that name's alone, and what
// the rules say of it decides (judge_synthetic.cc). Only where they leave it to addresses, or to
// the floor, the real ones are judged once they are known.
//
// One for each worker; the book of names is the guest's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "dns/names/name_book.h"
#include "flow/core/flow_judge.h"
#include "flow/core/flow_key.h"
#include "flow/core/refusal_book.h"
#include "flow/gate/claim.h"
#include "policy/egress/egress_policy.h"
#include "policy/reach.h"

namespace sluice::flow {

// How often first bytes were judged, requests of HTTP one by one.
struct GateCounters {
  static constexpr std::size_t kKinds = 3;  // Of Claim::Kind.
  std::array<std::uint64_t, kKinds> passed{};
  std::array<std::uint64_t, kKinds> refused{};
};

class Judge final : public FlowJudge, public ClaimJudge {
 public:
  // Nothing is owned.
  Judge(policy::Reach& reach, dns::NameBook& names, RefusalBook& refusals)
      : reach_(reach), names_(names), refusals_(refusals) {}

  // From here on. It must stay until the next one.
  void set_policy(const policy::EgressPolicy& policy) { policy_ = &policy; }
  [[nodiscard]] bool decides() const { return policy_ != nullptr && policy_->names_decide(); }
  // Only with a policy by which names decide, here and below.
  [[nodiscard]] const policy::EgressPolicy& policy() const { return *policy_; }

  [[nodiscard]] JudgedFlow judge_new(policy::Protocol protocol, const wire::Endpoint& remote,
                                     Instant now) override;
  [[nodiscard]] bool accepts_still(policy::Protocol protocol, const wire::Endpoint& remote,
                                   NamedBy& by, Instant now) override;
  [[nodiscard]] policy::Verdict judge_target(policy::Protocol protocol, const NamedBy& by,
                                             const wire::Endpoint& target) override;
  [[nodiscard]] Judged judge_claim(const FlowKey& key, const NamedBy& by, const Claim& claim,
                                   Instant now) override;
  [[nodiscard]] RefusalWords words_of(const FlowKey& key, const Judged& judged) override;
  // Notes a flow that was refused, for the guest to look up; its number.
  std::uint32_t note_refusal(const FlowKey& key, policy::Verdict verdict, const NamedBy& by,
                             std::uint64_t times);

  [[nodiscard]] const GateCounters& counters() const { return counters_; }

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
    std::optional<policy::Ruled> was_denied{};  // The same.
    bool opens_floor = false;                   // ... and that name may lead to what is not public.
  };
  struct Where {
    policy::Protocol protocol;
    const wire::Endpoint& remote;
  };

  // Of an address that stands for a name.
  struct Synthetic {
    dns::NameId id{};
    wire::DomainName name{};
  };
  // What is said of a name and a port of it.
  struct NameRuled {
    policy::Ruled ruled{};
    bool by_name = false;  // By a rule on names; else by what lets unnamed ones be asked for.
    [[nodiscard]] bool left_to_addresses() const {
      return !by_name && ruled.effect == policy::Effect::kAllow;
    }
  };

  struct Live {
    dns::NameId id{};
    const wire::DomainName& name;
    bool open = false;  // The address is public.
  };

  [[nodiscard]] JudgedFlow judge_unanswered(const Where& where, Instant now);
  void use_answer(JudgedFlow& judged, const Where& where) const;
  [[nodiscard]] std::optional<policy::Ruled> said_of(const wire::DomainName& name,
                                                     const Where& where) const;
  [[nodiscard]] ByNames by_names(const Where& where, Instant now);
  void add_live(ByNames& found, const Where& where, const Live& live) const;
  [[nodiscard]] JudgedFlow by_address(const Where& where, const policy::Reached& reached,
                                      const ByNames& names) const;
  [[nodiscard]] JudgedFlow by_default(const ByNames& names, const policy::Reached& reached) const;
  [[nodiscard]] bool resolves_elsewhere(const Where& where) const;
  [[nodiscard]] bool holds(Instant expires, Instant now) const {
    return now < expires + policy_->dns().grace;
  }
  [[nodiscard]] Gate gate_of(wire::Port port, policy::RuleId rule) const;
  [[nodiscard]] Judged look_at(const FlowKey& key, const NamedBy& begun, const Claim& claim,
                               Instant now);
  [[nodiscard]] Judged judge_named(const FlowKey& key, const NamedBy& begun, const Claim& claim,
                                   Instant now);
  [[nodiscard]] Judged judge_unnamed(const FlowKey& key, const NamedBy& begun, const Claim& claim,
                                     Instant now);
  // Of first bytes without a name, where the rule is for a name.
  [[nodiscard]] policy::Verdict judge_nameless(wire::Port port, Claim::Kind kind,
                                               policy::RuleId rule) const;

  // judge_synthetic.cc
  [[nodiscard]] std::optional<Synthetic> synthetic_at(const wire::IpAddress& address) const;
  [[nodiscard]] NameRuled ruled_by_name(const wire::DomainName& name, policy::Protocol protocol,
                                        wire::Port port) const;
  // The same, with what was answered where that asks.
  [[nodiscard]] NameRuled said_by_name(const wire::DomainName& name, policy::Protocol protocol,
                                       wire::Port port) const;
  [[nodiscard]] policy::Verdict why_denied(const wire::DomainName& name,
                                           const NameRuled& ruled) const;
  [[nodiscard]] JudgedFlow judge_synthetic(const Where& where) const;
  [[nodiscard]] JudgedFlow judge_by_addresses_to_come(const Where& where, const NamedBy& by) const;
  [[nodiscard]] bool accepts_synthetic(const Where& where, NamedBy& by) const;
  [[nodiscard]] Judged judge_synthetic_claim(const FlowKey& key, const NamedBy& begun,
                                             const Claim& claim) const;
  // To any name that is not denied: by a rule, or, where the flow had none, by who was asked.
  [[nodiscard]] bool open_by_address(const wire::Endpoint& remote, const NamedBy& begun,
                                     policy::RuleId& rule) const;
  [[nodiscard]] Judged accepted(NamedBy by) const;

  policy::Reach& reach_;
  dns::NameBook& names_;
  RefusalBook& refusals_;
  const policy::EgressPolicy* policy_ = nullptr;
  GateCounters counters_;
};

}  // namespace sluice::flow
