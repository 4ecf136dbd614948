// The manual page and the completions know every option of --help, and no other.
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "app/help.h"
#include "app/option_table.h"

namespace sluice::app {
namespace {

std::string read_document(const char* name) {
  const auto root =
      std::filesystem::path(__FILE__).parent_path().parent_path().parent_path().parent_path();
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

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const OptionSpec& spec : kRunOptions) {
    std::istringstream list{std::string(spec.names)};
    for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  }
  return names;
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

TEST(Documents, TheManualPageKnowsEveryOption) {
  const std::string manual = without_backslashes(read_document("man/sluice-run.1"));
  for (const std::string& name : all_names()) EXPECT_TRUE(has_word(manual, name)) << name;
}

TEST(Documents, TheManualPageKnowsNoOther) {
  const auto names = all_names();
  const std::set<std::string> known(names.begin(), names.end());
  for (const std::string& name :
       long_options_in(without_backslashes(read_document("man/sluice-run.1")))) {
    EXPECT_TRUE(known.contains(name)) << name;
  }
}

TEST(Documents, HelpKnowsEveryOption) {
  const std::string help = run_help();
  for (const std::string& name : all_names()) EXPECT_TRUE(has_word(help, name)) << name;
}

TEST(Documents, HelpFitsATerminal) {
  for (const std::string& help : {run_help(), main_help()}) {
    std::istringstream lines(help);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(Documents, CompletionsOfBashAndZshKnowEveryOption) {
  const std::string bash = read_document("completions/bash/sluice");
  const std::string zsh = read_document("completions/zsh/_sluice");
  for (const std::string& name : all_names()) {
    EXPECT_TRUE(has_word(bash, name)) << name;
    EXPECT_TRUE(has_word(zsh, name)) << name;
  }
}

TEST(Documents, CompletionsOfFishKnowEveryOption) {
  const std::string fish = read_document("completions/fish/sluice.fish");
  for (const std::string& name : all_names()) {
    const bool is_long = name.starts_with("--");
    const std::string word = is_long ? "-l " + name.substr(2) : "-s " + name.substr(1);
    EXPECT_TRUE(has_word(fish, word)) << name;
  }
}

}  // namespace
}  // namespace sluice::app
