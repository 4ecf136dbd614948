#include "config/forward_config.h"
#include "config/messages.h"
#include "config/place_text.h"
#include "config/rule_checks.h"

namespace sluice::config {

std::expected<forward::Rule, std::string> parse_rule_words(std::string_view listen,
                                                           std::string_view target) {
  const auto from = parse_place(listen, Side::kListen, policy::Protocol::kTcp);
  if (!from) return std::unexpected(from.error());
  const auto to = parse_place(target, Side::kTarget, from->protocol);
  if (!to) return std::unexpected(to.error());

  forward::Rule rule;
  rule.listen = *from;
  rule.targets.push_back({*to});
  rule.name = to_string(rule.listen);
  const RuleFindings found = check_rule(rule);
  if (!found.errors.empty()) return std::unexpected(found.errors.front());
  return rule;
}

}  // namespace sluice::config
