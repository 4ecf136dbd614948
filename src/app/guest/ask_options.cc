#include "app/guest/ask_options.h"

#include <algorithm>
#include <string>
#include <utility>

#include "config/egress/ask_table.h"
#include "config/egress/decision_file.h"
#include "config/egress/name_facts.h"
#include "config/units.h"

namespace sluice::app {
namespace {

using policy::Effect;

[[nodiscard]] bool asks(const policy::EgressDraft& draft) {
  return draft.fallback == Effect::kAsk ||
         std::ranges::any_of(draft.rules, [](const policy::DraftRule& rule) {
           return rule.rule.effect == Effect::kAsk;
         });
}

}  // namespace

std::expected<std::size_t, std::string> add_remembered(policy::EgressDraft& draft) {
  const auto file = config::DecisionFile::of_this_user();
  if (!file || !asks(draft)) return 0;
  const auto decisions = file->load();
  if (!decisions) return std::unexpected(decisions.error());
  for (const config::Decision& decision : *decisions) {
    // load() has read it already.
    if (auto rule = config::rule_of(decision)) draft.rules.push_back(std::move(*rule));
  }
  return decisions->size();
}

std::expected<std::size_t, Mistake> read_ask_options(const RawOptions& raw,
                                                     config::PolicyParts& parts,
                                                     serve::AskPlan& ask) {
  for (const std::string& text : raw.all(OptionId::kAskTimeout)) {
    const auto timeout = config::parse_duration(text);
    if (!timeout || *timeout < config::kAskTimeoutMin || *timeout > config::kAskTimeoutMax) {
      return fail("--ask-timeout: '{}' is no time to wait; expected one of 1s to 1h, as 90s", text);
    }
    parts.ask.timeout = *timeout;
  }
  ask.settings = parts.ask;
  for (const std::string& text : raw.all(OptionId::kAskExec)) ask.program = text;
  if (!asks(parts.draft)) {
    for (const auto& [id, name] : {std::pair(OptionId::kAskTimeout, "--ask-timeout"),
                                   std::pair(OptionId::kAskExec, "--ask-exec")}) {
      if (raw.has(id)) {
        return fail(
            "{}: the policy asks about nothing; expected --ask, or a rule or default that "
            "asks",
            name);
      }
    }
    return 0;
  }
  // What it needs is loaded now: a process that serves opens no file.
  (void)config::registrable_domain("example.com");
  ask.domain_of = config::registrable_domain;
  const auto remembered = add_remembered(parts.draft);
  if (!remembered) return std::unexpected(Mistake{remembered.error()});
  return *remembered;
}

std::optional<std::string> remembered_folder() {
  const auto file = config::DecisionFile::of_this_user();
  return file ? file->make_folder() : std::nullopt;
}

}  // namespace sluice::app
