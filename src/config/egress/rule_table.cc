#include "config/egress/rule_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "config/egress/limit_text.h"
#include "config/egress/target_text.h"
#include "config/toml_reader.h"

namespace sluice::config {
namespace {

using policy::Effect;

constexpr std::string_view kTargets = "targets as [\"example.com:443\", \"10.0.0.0/8\"]";
constexpr std::size_t kNoteMax = 500;
constexpr std::size_t kIdMax = 80;

// Ids and notes are shown on terminals and in pages of the guest.
bool is_printable(std::string_view text) {
  return std::ranges::none_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

void read_words(TomlReader& reader, std::string_view key, std::size_t max, std::string& into) {
  const auto text = reader.text(key);
  if (!text) return;
  if (text->empty() || text->size() > max || !is_printable(*text)) {
    reader.wrong(key, fmt::format("is {}; expected one line of 1 to {} bytes", quoted(*text), max));
    return;
  }
  into = *text;
}

void read_private(TomlReader& reader, std::vector<wire::Prefix>& into, Messages& messages) {
  for (const TomlReader::Text& text : reader.texts("private", "addresses as [\"10.20.0.0/16\"]")) {
    const auto prefix = wire::parse_prefix(text.text);
    if (prefix) {
      into.push_back(*prefix);
    } else {
      messages.error(text.line, fmt::format("'rule.private' holds {}; expected addresses as "
                                            "[\"10.20.0.0/16\"]",
                                            quoted(text.text)));
    }
  }
}

void read_limit(TomlReader& rule, std::optional<policy::TrafficLimit>& into, Messages& messages) {
  const TomlTable* const table = rule.table("limit");
  if (table == nullptr) return;
  TomlReader reader(*table, "rule.limit", messages);
  policy::TrafficLimit limit;
  read_limit_keys(reader, limit);
  assign(limit.flows, reader.integer("flows", 1, std::numeric_limits<std::uint32_t>::max()));
  reader.finish(TomlReader::Unknown::kError);
  into = limit;
}

void read_via(TomlReader& reader, policy::EgressRule& rule) {
  const auto text = reader.text("via");
  if (!text) return;
  auto via = policy::parse_via(*text);
  if (via) {
    rule.via = std::move(*via);
  } else {
    reader.wrong("via", fmt::format("is {}; expected {}", quoted(*text), via.error().expected));
  }
}

void add_targets(TomlReader& reader, const policy::EgressRule& rule,
                 std::vector<policy::DraftRule>& rules, Messages& messages) {
  const std::string_view key = to_string(rule.effect);
  const auto texts = reader.texts(key, kTargets);
  // They are large; a list of a hundred thousand is made room for at once.
  if (rules.capacity() < rules.size() + texts.size()) {
    rules.reserve(std::max(rules.size() + texts.size(), 2 * rules.capacity()));
  }
  for (const TomlReader::Text& text : texts) {
    auto target = read_target(text.text, rule.effect);
    if (!target) {
      messages.error(text.line, fmt::format("{} is not a target; expected {}", quoted(text.text),
                                            target.error().expected));
      continue;
    }
    if (!target->warning.empty()) {
      messages.warn(text.line, fmt::format("{}: {}", quoted(text.text), target->warning));
    }
    const bool is_name = target->target.name() != nullptr;
    if (!is_name && (!rule.private_addresses.empty() || rule.sni || rule.host)) {
      messages.error(text.line, fmt::format("{} is an address, and 'private', 'sni' and 'host' are "
                                            "of names; expected a rule of its own",
                                            quoted(text.text)));
    }
    const std::optional<policy::Protocol> protocol = target->target.protocol;
    if (rule.via && protocol && *protocol != policy::Protocol::kTcp) {
      messages.error(text.line, fmt::format("{} is not of TCP, and nothing else is led by 'via'; "
                                            "expected a rule of its own",
                                            quoted(text.text)));
    }
    rules.push_back({std::move(target->target), rule});
  }
}

}  // namespace

void read_rule_table(const TomlValue& value, const std::string& label,
                     std::vector<policy::DraftRule>& rules, Messages& messages) {
  TomlReader reader(std::get<TomlTable>(value.data), "rule", messages);
  policy::EgressRule rule{.id = fmt::format("{}:{}", label, value.line), .source = label};
  read_words(reader, "id", kIdMax, rule.id);
  read_words(reader, "note", kNoteMax, rule.note);
  rule.sni = reader.choice("sni", kSniUses);
  rule.host = reader.choice("host", kHostUses);
  read_private(reader, rule.private_addresses, messages);
  read_limit(reader, rule.limit, messages);
  read_via(reader, rule);
  std::size_t effects = 0;
  for (const Effect effect : {Effect::kAllow, Effect::kAsk, Effect::kDeny}) {
    if (reader.find(to_string(effect)) == nullptr) continue;
    ++effects;
    rule.effect = effect;
  }
  if (effects != 1) {
    messages.error(value.line,
                   effects > 1 ? "a rule has two of 'allow', 'ask' and 'deny'; expected a rule for "
                                 "each"
                               : "a rule has no target; expected allow = \"example.com\", "
                                 "ask = \"example.com\" or deny = \"example.com\"");
  }
  const bool says_how = !rule.private_addresses.empty() || rule.sni || rule.host || rule.limit ||
                        rule.via.has_value();
  if (rule.effect == Effect::kDeny && says_how) {
    messages.error(value.line,
                   "'private', 'sni', 'host', 'limit' and 'via' say how something is allowed; "
                   "expected them beside 'allow' or 'ask'");
  }
  if (effects == 1) add_targets(reader, rule, rules, messages);
  reader.finish(TomlReader::Unknown::kError);
}

}  // namespace sluice::config
