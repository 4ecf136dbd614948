// The manual pages and the completions know every command and every option of --help, and no other.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "app/options/command.h"
#include "app/options/help.h"
#include "control/request.h"

namespace sluice::app {
namespace {

std::string read_document(const char* name) {
  const std::filesystem::path root = SLUICE_ROOT;
  const std::ifstream file(root / name);
  EXPECT_TRUE(file.good()) << root / name;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool is_name_character(char c) {
  return c == '-' || std::isalnum(static_cast<unsigned char>(c)) != 0;
}

// `word` with nothing before or behind it that would make it a part of another option's name.
bool has_word(const std::string& text, const std::string& word) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool begins = at == 0 || !is_name_character(text[at - 1]);
    if (begins && (end == text.size() || !is_name_character(text[end]))) return true;
  }
  return false;
}

std::vector<std::string> names_of(const Command& command) {
  std::vector<std::string> names;
  for (const OptionSpec& spec : command.options) {
    std::istringstream list{std::string(spec.names)};
    for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  }
  return names;
}

std::string manual_of(const Command& command) {
  return read_document(fmt::format("man/sluice-{}.1", command.name).c_str());
}

// Every "--word" of the text.
std::set<std::string> long_options_in(const std::string& text) {
  std::set<std::string> found;
  for (std::size_t at = text.find("--"); at != std::string::npos; at = text.find("--", at + 2)) {
    std::size_t end = at + 2;
    while (end < text.size() && is_name_character(text[end])) ++end;
    if (end > at + 2) found.insert(text.substr(at, end - at));
    at = end - 2;
  }
  return found;
}

std::string without_backslashes(std::string text) {
  // In a manual page "\fR" and the like are fonts, and "\-" is a dash.
  for (const char* font : {"\\fB", "\\fR", "\\fI"}) {
    for (std::size_t at = text.find(font); at != std::string::npos; at = text.find(font)) {
      text.replace(at, 3, 1, ' ');
    }
  }
  std::erase(text, '\\');
  return text;
}

// The part of a completion that is about one command: it begins at a line that holds `begin` and
// ends before `end`.
std::string part(const std::string& text, const std::string& begin, const std::string& end) {
  const std::size_t from = text.find(begin);
  EXPECT_NE(from, std::string::npos) << begin;
  if (from == std::string::npos) return "";
  return text.substr(from, text.find(end, from) - from);
}

TEST(Documents, TablesHaveEveryOptionOnceAndInAGroup) {
  for (const Command* const command : all_commands()) {
    std::set<OptionId> ids;
    std::set<std::string_view> groups;
    std::string_view group;
    for (const OptionSpec& spec : command->options) {
      EXPECT_TRUE(ids.insert(spec.id).second) << spec.names;
      if (spec.group == group) continue;
      group = spec.group;
      EXPECT_TRUE(groups.insert(group).second) << group << " is scattered";
    }
  }
}

TEST(Documents, ManualPagesKnowEveryOption) {
  for (const Command* const command : all_commands()) {
    const std::string manual = without_backslashes(manual_of(*command));
    for (const std::string& name : names_of(*command)) {
      EXPECT_TRUE(has_word(manual, name)) << command->program << ' ' << name;
    }
  }
}

TEST(Documents, ManualPagesKnowNoOther) {
  for (const Command* const command : all_commands()) {
    const auto names = names_of(*command);
    const std::set<std::string> known(names.begin(), names.end());
    for (const std::string& name : long_options_in(without_backslashes(manual_of(*command)))) {
      EXPECT_TRUE(known.contains(name)) << command->program << ' ' << name;
    }
  }
}

TEST(Documents, TheMainManualPageKnowsEveryCommand) {
  const std::string manual = without_backslashes(read_document("man/sluice.1"));
  for (const Command* const command : all_commands()) {
    EXPECT_NE(manual.find(fmt::format("sluice-{}", command->name)), std::string::npos)
        << command->name;
  }
}

std::vector<const Command*> all_with_help() {
  std::vector<const Command*> all(all_commands().begin(), all_commands().end());
  all.push_back(&kOiProgram);
  return all;
}

TEST(Documents, HelpKnowsEveryOption) {
  for (const Command* const command : all_with_help()) {
    const std::string help = command_help(*command);
    for (const std::string& name : names_of(*command)) {
      EXPECT_TRUE(has_word(help, name)) << command->program << ' ' << name;
    }
  }
}

TEST(Documents, HelpFitsATerminal) {
  std::vector<std::string> helps{main_help()};
  for (const Command* const command : all_with_help()) helps.push_back(command_help(*command));
  for (const std::string& help : helps) {
    std::istringstream lines(help);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(Documents, TheMainHelpHasNamesApartFromWhatTheyDo) {
  const std::string help = main_help();
  for (const Command* const command : all_commands()) {
    EXPECT_TRUE(has_word(help, std::string(command->name))) << command->name;
    EXPECT_NE(help.find(fmt::format(" {}\n", command->summary)), std::string::npos)
        << command->name;
  }
}

TEST(Documents, RequestsOfCtlAreTold) {
  const std::string help = command_help(kCtlCommand);
  const std::string manual = without_backslashes(manual_of(kCtlCommand));
  const std::string bash = read_document("completions/bash/sluice");
  for (int i = 0; i <= static_cast<int>(control::Verb::kReload); ++i) {
    const std::string verb(control::to_string(static_cast<control::Verb>(i)));
    EXPECT_NE(help.find("\n  " + verb), std::string::npos) << verb;
    EXPECT_TRUE(has_word(manual, verb)) << verb;
    EXPECT_TRUE(has_word(part(bash, "_sluice_ctl_requests=", "'\n"), verb)) << verb;
  }
}

TEST(Documents, CompletionsOfBashAndZshKnowEveryOption) {
  const std::string bash = read_document("completions/bash/sluice");
  const std::string zsh = read_document("completions/zsh/_sluice");
  for (const Command* const command : all_commands()) {
    const std::string in_bash =
        part(bash, fmt::format("_sluice_{}_options=", command->name), "'\n");
    const std::string in_zsh = part(zsh, fmt::format("_sluice_{}() {{", command->name), "\n}");
    for (const std::string& name : names_of(*command)) {
      EXPECT_TRUE(has_word(in_bash, name)) << command->program << ' ' << name;
      EXPECT_TRUE(has_word(in_zsh, name)) << command->program << ' ' << name;
    }
  }
}

TEST(Documents, CompletionsOfBashKnowWhichOptionsTakeTheNextWord) {
  const std::string taking =
      part(read_document("completions/bash/sluice"), "_sluice_takes_value() {", "\n}");
  for (const Command* const command : all_commands()) {
    for (const OptionSpec& spec : command->options) {
      const bool takes = spec.kind == OptionKind::kValue || spec.kind == OptionKind::kList;
      std::istringstream list{std::string(spec.names)};
      for (std::string name; std::getline(list, name, ',');) {
        EXPECT_EQ(has_word(taking, name), takes) << command->program << ' ' << name;
      }
    }
  }
}

TEST(Documents, CompletionsOfFishKnowEveryOption) {
  std::istringstream fish(read_document("completions/fish/sluice.fish"));
  std::map<std::string_view, std::string> lines;
  for (std::string line; std::getline(fish, line);) {
    for (const Command* const command : all_commands()) {
      if (line.find(fmt::format("__sluice_in {}'", command->name)) == std::string::npos) continue;
      lines[command->name] += line + '\n';
    }
  }
  for (const Command* const command : all_commands()) {
    for (const std::string& name : names_of(*command)) {
      const bool is_long = name.starts_with("--");
      const std::string word = is_long ? "-l " + name.substr(2) : "-s " + name.substr(1);
      EXPECT_TRUE(has_word(lines[command->name], word)) << command->program << ' ' << name;
    }
  }
}

}  // namespace
}  // namespace sluice::app
