#include "app/ctl/ctl_options.h"

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/raw_options.h"
#include "base/suggestion.h"

namespace sluice::app {
namespace {

using control::Verb;

struct VerbWord {
  Verb verb;
  std::string_view what;  // What stands behind it, in messages; empty: nothing does.
};

constexpr std::array kVerbWords{
    VerbWord{Verb::kStatus, ""},      VerbWord{Verb::kFlows, ""},
    VerbWord{Verb::kKill, "FLOW"},    VerbWord{Verb::kPublished, ""},
    VerbWord{Verb::kPublish, "SPEC"}, VerbWord{Verb::kUnpublish, "SPEC"},
    VerbWord{Verb::kAllow, "RULE"},   VerbWord{Verb::kDeny, "RULE"},
    VerbWord{Verb::kSubscribe, ""},   VerbWord{Verb::kPending, ""},
    VerbWord{Verb::kApprove, ""},     VerbWord{Verb::kRefuse, ""},
    VerbWord{Verb::kRules, ""},       VerbWord{Verb::kRefused, ""},
    VerbWord{Verb::kReload, ""},
};
// Not a request of the socket.
constexpr std::string_view kAnswer = "answer";

[[nodiscard]] const VerbWord* find_verb(std::string_view word) {
  for (const VerbWord& one : kVerbWords) {
    if (to_string(one.verb) == word) return &one;
  }
  return nullptr;
}

[[nodiscard]] std::string_view near_verb(std::string_view word) {
  std::vector<std::string_view> names;
  for (const VerbWord& one : kVerbWords) names.push_back(to_string(one.verb));
  names.push_back(kAnswer);
  return nearest(word, names);
}

[[nodiscard]] std::unexpected<Mistake> no_verb(std::string_view word) {
  const std::string_view near = near_verb(word);
  if (!near.empty()) return fail("'{}' is no request; did you mean '{}'?", word, near);
  return fail("'{}' is no request", word);
}

[[nodiscard]] std::expected<CtlOptions, Mistake> read_words(const std::vector<std::string>& words) {
  CtlOptions options;
  if (words.empty()) {
    options.list = true;
    return options;
  }
  if (words.back() == kAnswer && words.size() <= 2) {
    options.answers = true;
    if (words.size() == 2) options.run = words[0];
    return options;
  }
  const VerbWord* verb = find_verb(words[0]);
  std::size_t next = 1;
  if (verb == nullptr) {
    if (words.size() == 1 && !near_verb(words[0]).empty()) return no_verb(words[0]);
    options.run = words[0];
    if (words.size() == 1) return options;  // How it stands.
    verb = find_verb(words[1]);
    if (verb == nullptr) return no_verb(words[1]);
    next = 2;
  }
  options.verb = verb->verb;
  if (verb->verb == Verb::kApprove || verb->verb == Verb::kRefuse) {
    const auto first = words.begin() + static_cast<std::ptrdiff_t>(next);
    auto given = read_answer(verb->verb, std::vector<std::string>(first, words.end()));
    if (!given) return fail("{}", given.error());
    options.given = std::move(*given);
    return options;
  }
  const std::string_view name = to_string(verb->verb);
  if (!verb->what.empty()) {
    if (next == words.size()) return fail("{}: {} is missing", name, verb->what);
    options.what = words[next++];
  }
  if (next < words.size()) return fail("{}: '{}' is too much", name, words[next]);
  return options;
}

}  // namespace

std::expected<CtlOptions, EarlyExit> parse_ctl_options(std::span<const char* const> arguments) {
  const auto raw = split_arguments(kCtlCommand, arguments);
  if (!raw) return std::unexpected(usage_error(kCtlCommand.program, raw.error()));
  if (auto exit = help_or_version(kCtlCommand, *raw)) return std::unexpected(std::move(*exit));
  auto options = read_words(raw->words);
  if (!options) return std::unexpected(usage_error(kCtlCommand.program, options.error()));
  options->json = raw->has(OptionId::kJson);
  return std::move(*options);
}

}  // namespace sluice::app
