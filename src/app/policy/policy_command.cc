#include "app/policy/policy_command.h"

#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/raw_options.h"
#include "app/policy/policy_question.h"
#include "app/policy/ranked_rules.h"
#include "base/suggestion.h"
#include "config/egress/policy_file.h"
#include "config/egress/policy_request.h"
#include "config/egress/profile_library.h"

namespace sluice::app {
namespace {

using Words = std::vector<std::string>;
using Status = std::expected<int, Mistake>;

constexpr int kNo = 1;  // The answer of `test` and `diff`.

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

// What the options of the command line ask for, with these files.
std::expected<config::PolicyParts, Mistake> parts_of(const RawOptions& raw, Words files) {
  config::PolicyRequest request{.allow = raw.all(OptionId::kAllow),
                                .deny = raw.all(OptionId::kDeny),
                                .ask = raw.all(OptionId::kAsk),
                                .files = std::move(files),
                                .profiles = raw.all(OptionId::kProfile)};
  for (const std::string& text : raw.all(OptionId::kDefault)) request.fallback = text;
  auto parts = config::read_policy(request, config::ProfileLibrary::of_this_host());
  if (!parts) return std::unexpected(Mistake{std::move(parts.error())});
  return std::move(*parts);
}

Status check(const RawOptions& raw, const Words& words) {
  const auto parts = parts_of(raw, words);
  if (!parts) return std::unexpected(parts.error());
  for (const config::ConfigMessage& warning : parts->warnings) {
    fmt::print(stderr, "{}: warning: {}\n", kPolicyCommand.program, warning.describe());
  }
  print(config::describe_policy(*parts) + "\n");
  return 0;
}

Status explain(const RawOptions& raw, const Words& words) {
  const auto parts = parts_of(raw, words);
  if (!parts) return std::unexpected(parts.error());
  print(raw.has(OptionId::kJson) ? explain_json(parts->draft) : explain_text(parts->draft));
  return 0;
}

Status test(const RawOptions& raw, const Words& words) {
  if (words.size() < 2) {
    return fail(
        "test: a question is missing; expected [FILE...] PROTOCOL TARGET as 'tcp pypi.org:443'");
  }
  const auto parts = parts_of(raw, Words(words.begin(), words.end() - 2));
  if (!parts) return std::unexpected(parts.error());
  const auto policy = policy::EgressPolicy::compile(parts->draft);
  if (!policy) return std::unexpected(Mistake{policy.error()});
  const auto answer = ask_policy(*policy, words[words.size() - 2], words.back());
  if (!answer) return std::unexpected(answer.error());
  print(raw.has(OptionId::kJson) ? answer_json(*policy, *answer) : answer_text(*policy, *answer));
  return answer->decision == PolicyAnswer::Decision::kDeny ? kNo : 0;
}

Status diff(const RawOptions& raw, const Words& words) {
  if (words.size() != 2) return fail("diff: expected two files of policy, BEFORE and AFTER");
  const auto before = parts_of(raw, {words[0]});
  if (!before) return std::unexpected(before.error());
  const auto after = parts_of(raw, {words[1]});
  if (!after) return std::unexpected(after.error());
  const std::string lines = difference(before->draft, after->draft);
  print(lines);
  return lines.empty() ? 0 : kNo;
}

// What is known of a profile; its mistake in the place of its use, if it has one.
config::ProfileNote note_of(const config::ProfileLibrary& library, const std::string& name) {
  config::PolicyParts parts;
  auto note = config::PolicyReader(library, parts).add_profile(name);
  if (!note) return {"has mistakes: " + note.error().front().describe(), ""};
  return std::move(*note);
}

Status list_profiles(const RawOptions& raw, const Words& words) {
  if (!words.empty()) return fail("list: unexpected '{}'", words.front());
  const auto library = config::ProfileLibrary::of_this_host();
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  std::string text;
  for (const std::string& name : library.names()) {
    const config::ProfileNote note = note_of(library, name);
    text += fmt::format("{:<14}{}\n", name, note.about);
    all.push_back({{"name", name},
                   {"about", note.about},
                   {"risk", note.risk},
                   {"file", library.find(name).value_or("")}});
  }
  print(raw.has(OptionId::kJson) ? all.dump(2) + "\n" : text);
  return 0;
}

Status show_profile(const RawOptions& raw, const Words& words) {
  if (words.size() != 1) return fail("show: expected the name of one profile");
  (void)raw;  // A profile is a file, and is shown as it is.
  const auto library = config::ProfileLibrary::of_this_host();
  config::PolicyParts parts;
  const auto note = config::PolicyReader(library, parts).add_profile(words.front());
  if (!note) return std::unexpected(Mistake{note.error().front().describe()});
  const std::string path = library.find(words.front()).value_or("");
  std::ifstream file(path);
  print(fmt::format("# {}\n", path));
  print(std::string(std::istreambuf_iterator<char>(file), {}));
  return 0;
}

struct Verb {
  std::string_view name;
  Status (*run)(const RawOptions&, const Words&);
};
constexpr std::array kPolicyVerbs{Verb{"check", check}, Verb{"explain", explain},
                                  Verb{"test", test}, Verb{"diff", diff}};
constexpr std::array kProfileVerbs{Verb{"list", list_profiles}, Verb{"show", show_profile}};

Status run_verb(std::span<const Verb> verbs, RawOptions& raw) {
  std::string known;
  std::vector<std::string_view> names;
  for (const Verb& verb : verbs) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", verb.name);
    names.push_back(verb.name);
  }
  if (raw.words.empty()) return fail("what to do is missing; expected one of {}", known);
  const std::string word = raw.words.front();
  raw.words.erase(raw.words.begin());
  for (const Verb& verb : verbs) {
    if (verb.name == word) return verb.run(raw, raw.words);
  }
  const std::string_view near = nearest(word, names);
  if (near.empty()) return fail("'{}' is unknown; expected one of {}", word, known);
  return fail("'{}' is unknown; did you mean '{}'?", word, near);
}

std::expected<int, EarlyExit> start(const Command& command, std::span<const Verb> verbs,
                                    std::span<const char* const> arguments) {
  auto raw = split_arguments(command, arguments);
  if (!raw) return std::unexpected(usage_error(command.program, raw.error()));
  if (raw->has(OptionId::kHelp)) return std::unexpected(EarlyExit{command_help(command), 0});
  if (raw->has(OptionId::kVersion)) return std::unexpected(EarlyExit{version_text(), 0});
  const Status status = run_verb(verbs, *raw);
  if (!status) return std::unexpected(usage_error(command.program, status.error()));
  return *status;
}

}  // namespace

std::expected<int, EarlyExit> start_policy(std::span<const char* const> arguments) {
  return start(kPolicyCommand, kPolicyVerbs, arguments);
}

std::expected<int, EarlyExit> start_profile(std::span<const char* const> arguments) {
  return start(kProfileCommand, kProfileVerbs, arguments);
}

}  // namespace sluice::app
