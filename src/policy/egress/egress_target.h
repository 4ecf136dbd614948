// What a rule of a policy speaks of, as a person writes it: TARGET[:PORTS][/PROTOCOL].
//
//   example.com:443       TARGET is a pattern of names (name_pattern.h), ...
//   10.0.0.0/8:22,80-90   ... an address or a range of them (policy/rule.h), ...
//   @private:5432/tcp     ... or a group of addresses (address_group.h).
//
// An address or a group without ports and protocol means all of them. A name means less where a
// rule lets it through: without ports TCP to 80 and 443, with ports TCP to those, and UDP or ICMP
// only where they are written. Where a rule refuses it, a name means as much as an address does.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/address_group.h"
#include "policy/effect.h"
#include "policy/egress/name_pattern.h"
#include "policy/protocol.h"
#include "policy/rule.h"
#include "wire/address.h"

namespace sluice::policy {

struct EgressTarget {
  std::variant<NamePattern, wire::Prefix, AddressGroup> subject{};
  bool ports_written = false;
  std::vector<PortRange> ports{};  // Where they are written; empty: every one (":*").
  std::optional<Protocol> protocol{};

  [[nodiscard]] const NamePattern* name() const { return std::get_if<NamePattern>(&subject); }
  friend bool operator==(const EgressTarget&, const EgressTarget&) = default;
};

// Of text in ASCII.
[[nodiscard]] std::expected<EgressTarget, RuleError> parse_egress_target(std::string_view text);

// The shortest text that parses to the same.
[[nodiscard]] std::string to_string(const EgressTarget& target);

// The ports and the protocol that a rule with this target and effect speaks of. How specific it is
// goes by what is written: a name without ports counts as all of them whatever it does, so that
// --allow NAME and --deny NAME are a tie.
struct PortScope {
  std::vector<PortRange> ports;  // As in Rule.
  std::optional<Protocol> protocol;
  std::uint32_t ports_written = 0;  // How many; 65536 if none are.
  bool protocol_written = false;
};
[[nodiscard]] PortScope scope_of(const EgressTarget& target, Effect effect);

}  // namespace sluice::policy
