// What a guest may reach, by name and by address: rules, a default, and what is said of DNS, TLS
// and HTTP. Made once of a draft, which parsers fill in; a decision then allocates nothing and does
// not depend on the number of rules. Immutable, so threads may share it.
//
// Of the rules that match, the most specific decides, in whatever order they were written: for
// names see name_pattern.h, for addresses policy/policy.h; then the one that names fewer ports,
// then the one that names a protocol. On a tie deny comes before ask and ask before allow.
//
// Rules on names and on addresses are asked apart: who joins them is the judge (src/flow).
//
// What people answered when they were asked (EgressRule::decision) is apart as well, with the same
// order within: it opens nothing that the rules or the default do not ask about.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/effect.h"
#include "policy/egress/egress_settings.h"
#include "policy/egress/egress_target.h"
#include "policy/egress/name_index.h"
#include "policy/egress/via.h"
#include "policy/limits/traffic_limit.h"
#include "policy/policy.h"
#include "policy/protocol.h"
#include "wire/address.h"
#include "wire/messages/domain_name.h"

namespace sluice::policy {

// What a person wrote.
struct EgressRule {
  std::string id{};    // Given, or "ci.toml:12", "--allow #1", "profile python:3".
  std::string text{};  // Of the target, in its shortest form; filled in by compile().
  Effect effect = Effect::kAllow;
  std::string note{};    // For whoever is refused; may be empty.
  std::string source{};  // The file, the profile, or the option.
  // Of a rule on names: addresses that are not public and to which the names may lead nonetheless.
  std::vector<wire::Prefix> private_addresses{};
  std::optional<SniUse> sni{};    // Nothing: as the policy says for all.
  std::optional<HostUse> host{};  // The same.
  // What a person answered for more than a moment: it counts only where the others ask.
  bool decision = false;
  // Of a rule that lets something through: what its flows may carry together, with those of all
  // others of its id.
  std::optional<TrafficLimit> limit{};
  // ... and by whom its flows are led, all of them; nothing: by nobody. Of TCP alone: nothing else
  // is let through by such a rule.
  std::optional<Via> via{};
  bool of_names = false;  // Filled in by compile().
};

struct DraftRule {
  EgressTarget target{};
  EgressRule rule{};
};

struct EgressDraft {
  Effect fallback = Effect::kAllow;
  std::vector<DraftRule> rules{};
  DnsPolicy dns{};
  TlsPolicy tls{};
  HttpPolicy http{};
  TrafficLimit limit{};  // Of all flows together. `flows` does not count: see LimitOptions.
  // Of the guest: what @gateway and @loopback are.
  std::vector<wire::IpAddress> gateways{};
};

class EgressPolicy {
 public:
  static constexpr std::size_t kRulesMax = 1'000'000;

  // No rules; allows all but the default denials.
  EgressPolicy() = default;
  // An error is a sentence for a person.
  [[nodiscard]] static std::expected<EgressPolicy, std::string> compile(EgressDraft draft);

  // Whether names decide at all: a rule speaks of some, or asks, or the default does not allow.
  [[nodiscard]] bool names_decide() const {
    return !names_.empty() || asks_ || addresses_.fallback() != Effect::kAllow;
  }
  // Whether there is something that people are asked about.
  [[nodiscard]] bool asks() const { return asks_; }
  [[nodiscard]] Effect default_effect() const { return addresses_.fallback(); }

  // What the most specific rule on names says; nothing if none matches.
  [[nodiscard]] std::optional<Ruled> for_name(const wire::DomainName& name, Protocol protocol,
                                              wire::Port port) const {
    return names_.find(name, protocol, port);
  }
  // Whether a rule on names speaks of it, on whatever ports.
  [[nodiscard]] bool any_rule_for_name(const wire::DomainName& name) const {
    return names_.any(name);
  }

  // Whether the name may be asked for: the most permissive of what is said of it for any protocol
  // and port. Where no rule on names speaks, the default decides, except that a rule that allows
  // @public or a whole family allows the question, too: its addresses are to be reached.
  [[nodiscard]] Ruled for_query(const wire::DomainName& name) const {
    return names_.most_permissive(name, unnamed_query_);
  }
  // ... of a name that no rule on names speaks of.
  [[nodiscard]] Ruled for_unnamed_query() const { return unnamed_query_; }
  // Whether a name below this one may be asked for. Then a denial must not say that there is none
  // (RFC 8020), but only that there is nothing here.
  [[nodiscard]] bool above_an_allowed_name(const wire::DomainName& name) const;
  // What all names have in common that the same pattern lets be asked for: labels of such names can
  // carry data. Nothing for a name that may not be asked for, that is named itself, or that "*" or
  // the default let through.
  [[nodiscard]] std::optional<wire::DomainName> budget_domain(const wire::DomainName& name) const;
  // Whether the name may be asked for by a rule on names other than "*".
  [[nodiscard]] bool lists_name(const wire::DomainName& name) const;
  // Whether a rule on names denies, or asks.
  [[nodiscard]] bool denies_names() const { return denies_names_; }

  // What the most specific rule on addresses says, the default denials included; nothing if none
  // matches. Of the address alone: what it stands for is asked by policy/reach.h, of addresses().
  [[nodiscard]] std::optional<Ruled> for_address(Protocol protocol,
                                                 const wire::Endpoint& target) const;
  [[nodiscard]] const Policy& addresses() const { return addresses_; }

  // What was answered already, of a name or of an address that is to be asked about; nothing where
  // it is still to be.
  [[nodiscard]] std::optional<Ruled> decided(const wire::DomainName& name, Protocol protocol,
                                             wire::Port port) const {
    return decided_names_.find(name, protocol, port);
  }
  [[nodiscard]] std::optional<Ruled> decided(Protocol protocol, const wire::Endpoint& target) const;

  // In the order of writing; a RuleId is a place in it.
  [[nodiscard]] std::span<const EgressRule> rules() const { return rules_; }
  // Also of the two that are in no list.
  [[nodiscard]] const EgressRule& rule(RuleId id) const;

  [[nodiscard]] const DnsPolicy& dns() const { return dns_; }
  [[nodiscard]] const TlsPolicy& tls() const { return tls_; }
  [[nodiscard]] const HttpPolicy& http() const { return http_; }
  // What a rule says of its own flows, or else what holds for all.
  [[nodiscard]] SniUse sni_of(RuleId id) const { return rule(id).sni.value_or(tls_.sni); }
  [[nodiscard]] HostUse host_of(RuleId id) const { return rule(id).host.value_or(http_.host); }
  // Whether a rule leads its flows by somebody.
  [[nodiscard]] bool leads_any() const { return leads_any_; }
  // Of all flows together.
  [[nodiscard]] const TrafficLimit& limit() const { return limit_; }

 private:
  void add_names(const EgressDraft& draft);
  enum class Kind : std::uint8_t { kRules, kDecisions };
  void add_addresses(const EgressDraft& draft, Kind kind, std::vector<PolicyRule>& rules) const;
  void note_pattern(const NamePattern* pattern);
  [[nodiscard]] std::uint8_t asked_by(const wire::DomainName& name) const;
  void note_unnamed_query(const std::vector<PolicyRule>& rules);

  std::vector<EgressRule> rules_;
  // Of each rule the labels that all its names have in common; or one of these.
  static constexpr std::uint8_t kOneName = 0xff;
  static constexpr std::uint8_t kNoNames = 0xfe;  // Every name, or a rule on addresses.
  std::vector<std::uint8_t> common_labels_;
  NameIndex names_;
  Policy addresses_;
  NameIndex decided_names_;
  Policy decided_addresses_;
  Ruled unnamed_query_{Effect::kAllow, RuleId{}};
  bool denies_names_ = false;
  bool asks_ = false;
  bool leads_any_ = false;
  EgressRule default_rule_{.id = "default", .text = "default"};
  DnsPolicy dns_;
  TlsPolicy tls_;
  HttpPolicy http_;
  TrafficLimit limit_;
};

}  // namespace sluice::policy
