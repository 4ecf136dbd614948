#include "config/egress/rule_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

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

void add_targets(TomlReader& reader, const policy::EgressRule& rule,
                 std::vector<policy::DraftRule>& rules, Messages& messages) {
  const std::string_view key = to_string(rule.effect);
  for (const TomlReader::Text& text : reader.texts(key, kTargets)) {
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
  const bool allows = reader.find("allow") != nullptr;
  const bool denies = reader.find("deny") != nullptr;
  if (allows == denies) {
    messages.error(value.line, allows ? "a rule has 'allow' and 'deny'; expected a rule for each"
                                      : "a rule has no target; expected allow = \"example.com\", "
                                        "or deny = \"example.com\"");
  }
  if (denies && (!rule.private_addresses.empty() || rule.sni || rule.host)) {
    messages.error(value.line,
                   "'private', 'sni' and 'host' say how something is allowed; expected "
                   "them beside 'allow'");
  }
  rule.effect = denies ? Effect::kDeny : Effect::kAllow;
  if (allows != denies) add_targets(reader, rule, rules, messages);
  reader.finish(TomlReader::Unknown::kError);
}

}  // namespace sluice::config
