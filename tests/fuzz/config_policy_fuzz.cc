// Files of policy from any text: what is taken compiles, decides, and is printed so that it is read
// back as the same; a mistake has a message.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/egress/policy_file.h"
#include "config/egress/target_text.h"
#include "policy/egress/egress_policy.h"

namespace {

using namespace sluice;

void check(bool holds) {
  if (!holds) std::abort();
}

void check_target(const policy::EgressTarget& target) {
  const auto again = policy::parse_egress_target(to_string(target));
  check(again && *again == target);
}

void ask(const policy::EgressPolicy& policy, const policy::EgressTarget& target) {
  const policy::NamePattern* const pattern = target.name();
  if (pattern == nullptr) return;
  const wire::DomainName& name = pattern->base();
  const auto ruled = policy.for_name(name, policy::Protocol::kTcp, wire::Port{443});
  if (ruled) check(policy.any_rule_for_name(name));
  const policy::Ruled query = policy.for_query(name);
  if (ruled) check(query.effect <= ruled->effect);
  if (const auto domain = policy.budget_domain(name)) check(name.is_within(*domain));
  (void)policy.above_an_allowed_name(name);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto effect : {policy::Effect::kAllow, policy::Effect::kDeny}) {
    const auto target = config::read_target(text.substr(0, text.find('\n')), effect);
    if (target) {
      check_target(target->target);
    } else {
      check(!target.error().expected.empty());
    }
  }
  const config::ProfileLibrary library{{}};
  config::PolicyParts parts;
  const auto note = config::PolicyReader(library, parts).add_text(text, "f.toml", "f.toml");
  if (!note) {
    check(!note.error().empty());
    return 0;
  }
  const auto policy = policy::EgressPolicy::compile(parts.draft);
  check(policy.has_value());
  for (const policy::DraftRule& rule : parts.draft.rules) {
    check_target(rule.target);
    ask(*policy, rule.target);
  }
  return 0;
}
