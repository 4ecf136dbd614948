// The decision on a new flow: the policy's search with many rules, on addresses and on names; the
// limits; and where the guest's address leads on the host.
#include <fmt/core.h>

#include <algorithm>

#include "base/prng.h"
#include "flow/core/flow_admission.h"
#include "flow/core/target_map.h"
#include "micro/guest_tcp.h"
#include "policy/egress/egress_policy.h"
#include "policy/policy.h"

namespace sluice::bench {
namespace {

enum class Ports : std::uint8_t { kAll, kSome };  // Rules for every port, or for 443 and 8000-8100.

// The address `offset` /24 networks, or /64 ones, behind the first.
wire::IpAddress network_at(Family family, std::uint32_t offset, std::uint8_t host) {
  if (family == Family::kV4) return wire::IpAddress::v4(0x2000'0000U + (offset << 8) + host);
  std::array<std::uint8_t, 16> octets{0x20, 0x01, 0x0d, 0xb8};
  octets[5] = static_cast<std::uint8_t>(offset >> 16);
  octets[6] = static_cast<std::uint8_t>(offset >> 8);
  octets[7] = static_cast<std::uint8_t>(offset);
  octets[15] = host;
  return wire::IpAddress::v6(FixedView<16>(octets));
}

policy::Policy policy_with(Family family, std::uint32_t rules, Ports ports) {
  std::vector<policy::Rule> deny;
  for (std::uint32_t i = 0; i < rules; ++i) {
    // Every second network is denied.
    policy::Rule rule;
    rule.prefix = {network_at(family, 2 * i, 0),
                   static_cast<std::uint8_t>(family == Family::kV4 ? 24 : 64)};
    if (ports == Ports::kSome) rule.ports = {{443, 443}, {8000, 8100}};
    deny.push_back(std::move(rule));
  }
  Prng prng(1);
  std::ranges::shuffle(deny, prng);
  return policy::Policy(deny, {});
}

// Targets all over the rules, half of them denied.
class Decide {
 public:
  Decide(Family family, std::uint32_t rules, Ports ports)
      : policy_(policy_with(family, rules, ports)) {
    require(policy_.rules().size() >= rules, "the policy has all rules");
    Prng prng(2);
    for (std::size_t i = 0; i < kTargets; ++i) {
      const auto network = static_cast<std::uint32_t>(prng.below(2UL * rules));
      const wire::IpAddress address = network_at(family, network, 9);
      targets_[i] = {{address, wire::Port{443}},
                     network % 2 == 0 ? policy::Effect::kDeny : policy::Effect::kAllow};
    }
  }
  void operator()() {
    const Expected& target = targets_[next_];
    next_ = (next_ + 1) % kTargets;
    require(policy_.decide(policy::Protocol::kTcp, target.endpoint).effect == target.effect,
            "the effect that the rules ask for");
  }

 private:
  static constexpr std::size_t kTargets = 1024;
  struct Expected {
    wire::Endpoint endpoint;
    policy::Effect effect{};
  };

  policy::Policy policy_;
  std::array<Expected, kTargets> targets_;
  std::size_t next_ = 0;
};

// Names as policies list them: some below a wildcard, some with ports of their own.
policy::EgressDraft draft_with(std::uint32_t rules) {
  policy::EgressDraft draft{.fallback = policy::Effect::kDeny};
  for (std::uint32_t i = 0; i < rules; ++i) {
    const std::string_view form =
        i % 4 == 0 ? "*.wild{}.example{}.test" : "host{}.example{}.test:443";
    draft.rules.push_back(
        {policy::parse_egress_target(fmt::format(fmt::runtime(form), i, i % 1000)).value(),
         {.effect = policy::Effect::kAllow}});
  }
  return draft;
}

// Names all over the rules, half of them listed.
class DecideName {
 public:
  explicit DecideName(std::uint32_t rules)
      : policy_(policy::EgressPolicy::compile(draft_with(rules)).value()) {
    Prng prng(3);
    for (Asked& asked : names_) {
      const auto i = static_cast<std::uint32_t>(prng.below(rules)) & ~3U;
      asked.listed = prng.below(2) == 0;
      asked.name =
          wire::DomainName::from_text(
              fmt::format("a.{}{}.example{}.test", asked.listed ? "wild" : "other", i, i % 1000))
              .value();
    }
  }
  void operator()() {
    const Asked& asked = names_[next_];
    next_ = (next_ + 1) % names_.size();
    const auto ruled = policy_.for_name(asked.name, policy::Protocol::kTcp, wire::Port{443});
    require(ruled.has_value() == asked.listed, "the effect that the rules ask for");
  }

 private:
  struct Asked {
    wire::DomainName name;
    bool listed = false;
  };

  policy::EgressPolicy policy_;
  std::array<Asked, 1024> names_;
  std::size_t next_ = 0;
};

// A policy made of its draft, as when a file is loaded.
class Compile {
 public:
  explicit Compile(std::uint32_t rules) : draft_(draft_with(rules)) {}
  void operator()() {
    require(policy::EgressPolicy::compile(draft_).has_value(), "the draft is a policy");
  }

 private:
  policy::EgressDraft draft_;
};

// What each new flow asks: may it, and where does it lead. One target in two is the gateway, which
// leads to the host's loopback.
class Translate {
 public:
  explicit Translate(Family family)
      : admission_(policy_, policy::HostAddresses::kRefused,
                   policy::GuestLimits({.max_flows = 0}, 0)),
        targets_(network_, true),
        remotes_{remote_endpoint(family, 443),
                 wire::Endpoint{family == Family::kV4 ? network_.gateway_v4 : network_.gateway_v6,
                                wire::Port{8080}}},
        expected_{remotes_[0],
                  wire::Endpoint{flow::test::ip(family == Family::kV4 ? "127.0.0.1" : "::1"),
                                 wire::Port{8080}}} {}
  void operator()() {
    const wire::Endpoint& remote = remotes_[next_];
    const flow::Target target = targets_.target_of(remote);
    require(target.kind == flow::TargetKind::kHost && target.endpoint == expected_[next_],
            "the target that the address leads to");
    require(admission_.admit(policy::Protocol::kTcp, remote, now_) == policy::Verdict::kAccepted,
            "the flow is accepted");
    admission_.released(policy::FlowSide::kOutbound);
    next_ ^= 1U;
  }

 private:
  flow::GuestNetwork network_;
  policy::Policy policy_;
  flow::FlowAdmission admission_;
  flow::TargetMap targets_;
  std::array<wire::Endpoint, 2> remotes_;
  std::array<wire::Endpoint, 2> expected_;
  Instant now_{std::chrono::seconds(1000)};
  std::size_t next_ = 0;
};

const Registrar registrar([] {
  for (const std::uint32_t rules : {1'000U, 100'000U}) {
    add<DecideName>(fmt::format("policy_name_decision/{}", rules), rules);
    add<Compile>(fmt::format("policy_compile/{}", rules), rules);
  }
  for (const Family family : kFamilies) {
    const std::string_view v = name_of(family);
    add<Translate>(fmt::format("nat_translate_outbound_hot_path/{}", v), family);
    for (const std::uint32_t rules : {10U, 1'000U, 100'000U}) {
      add<Decide>(fmt::format("policy_decision/{}/{}", rules, v), family, rules, Ports::kAll);
      add<Decide>(fmt::format("policy_decision_ports/{}/{}", rules, v), family, rules,
                  Ports::kSome);
    }
  }
});

}  // namespace
}  // namespace sluice::bench
