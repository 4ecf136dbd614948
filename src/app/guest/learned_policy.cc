#include "app/guest/learned_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "config/egress/name_facts.h"
#include "policy/egress/egress_target.h"
#include "telemetry/text.h"

namespace sluice::app {
namespace {

using telemetry::Usage;

struct Rule {
  std::uint64_t flows = 0;
  std::uint64_t failed = 0;
  std::uint64_t out = 0;
  std::uint64_t in = 0;
  std::set<wire::IpAddress> private_addresses;
};

// What a rule calls it; nothing where a guest chose a name that no rule can have.
[[nodiscard]] std::optional<std::string> target_of(const Usage::Key& key, Generalise generalise) {
  std::string subject = key.host;
  if (key.is_name && generalise == Generalise::kDomains) {
    const std::string domain = config::registrable_domain(key.host);
    if (!domain.empty()) subject = "." + domain;
  }
  std::string text = subject;
  if (!key.is_name && key.host.find(':') != std::string::npos) text = "[" + subject + "]";
  if (key.protocol != policy::Protocol::kIcmp) text += fmt::format(":{}", key.port);
  if (key.protocol != policy::Protocol::kTcp) {
    text += fmt::format("/{}", policy::to_string(key.protocol));
  }
  const auto target = policy::parse_egress_target(text);
  if (!target || (target->name() != nullptr) != key.is_name) return std::nullopt;
  return text;
}

[[nodiscard]] std::string times(std::uint64_t count) {
  return count == 1 ? "once" : fmt::format("{} times", count);
}

void append_rule(std::string& text, const std::string& target, const Rule& rule) {
  fmt::format_to(std::back_inserter(text), "\n# {}, {} out, {} in\n[[rule]]\nallow = \"{}\"\n",
                 times(rule.flows), telemetry::human_bytes(rule.out),
                 telemetry::human_bytes(rule.in), target);
  if (rule.private_addresses.empty()) return;
  text += "private = [";
  for (const wire::IpAddress& address : rule.private_addresses) {
    if (!text.ends_with('[')) text += ", ";
    fmt::format_to(std::back_inserter(text), "\"{}\"", wire::to_string(address));
  }
  text += "]\n";
}

}  // namespace

std::string learned_policy(const Usage& usage, Generalise generalise) {
  std::map<std::string, Rule> rules;
  std::uint64_t strange = 0;
  for (const auto& [key, row] : usage.rows()) {
    const auto target = target_of(key, generalise);
    if (!target) {
      strange += row.flows;
      continue;
    }
    Rule& rule = rules[*target];
    rule.flows += row.flows;
    rule.failed += row.failed;
    rule.out += row.bytes_to_host;
    rule.in += row.bytes_to_guest;
    rule.private_addresses.insert(row.private_addresses.begin(), row.private_addresses.end());
  }
  std::string text =
      "# Learnt by sluice --learn: what one run used. Look through it before you rely on it;\n"
      "# 'sluice policy explain FILE' shows what it means.\n"
      "version = 1\ndefault = \"deny\"\n";
  std::string in_vain;
  for (const auto& [target, rule] : rules) {
    if (rule.flows > rule.failed) {
      append_rule(text, target, rule);
    } else {
      fmt::format_to(std::back_inserter(in_vain), "#   {}, {}\n", target, times(rule.flows));
    }
  }
  if (!in_vain.empty()) text += "\n# Tried, but nobody answered:\n" + in_vain;
  if (usage.left_out() + strange > 0) {
    fmt::format_to(std::back_inserter(text),
                   "\n# Without a rule, for want of room or of a name: {}\n",
                   times(usage.left_out() + strange));
  }
  return text;
}

}  // namespace sluice::app
