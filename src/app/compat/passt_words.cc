#include "app/compat/passt_words.h"

#include <fmt/core.h>
#include <getopt.h>

#include <algorithm>
#include <string_view>

namespace sluice::app {
namespace {

// What getopt_long() gives for an option without a letter: above every letter.
constexpr int kNumbered = 256;
constexpr int kVersion = kNumbered + 1000;
constexpr int kCapabilities = kVersion + 1;

[[nodiscard]] std::vector<PasstOption> all_of(const PasstProgram& program) {
  const auto common = common_passt_options();
  std::vector<PasstOption> all(common.begin(), common.end());
  all.insert(all.end(), program.options.begin(), program.options.end());
  return all;
}

[[nodiscard]] std::string help_text(const PasstProgram& program) {
  std::string text = fmt::format("{}\nOptions:\n", program.about);
  for (const PasstOption& option : all_of(program)) {
    if (*option.help == '\0') continue;
    std::string names = option.letter != 0 ? fmt::format("-{}, ", option.letter) : "    ";
    names += fmt::format("--{}", option.name);
    if (option.value != nullptr) names += fmt::format(" {}", option.value);
    std::string_view help = option.help;
    for (bool first = true; !help.empty(); first = false) {
      const std::size_t end = help.find('\n');
      text += fmt::format("  {:<30}{}\n", first ? names : "", help.substr(0, end));
      help.remove_prefix(end == std::string_view::npos ? help.size() : end + 1);
    }
  }
  text += fmt::format("  {:<30}{}\n  {:<30}{}\n", "-h, --help", "print this", "    --version",
                      "print the version");
  return text;
}

struct GetoptTables {
  std::string letters;
  std::vector<option> names;
};

[[nodiscard]] GetoptTables getopt_tables(const std::vector<PasstOption>& options,
                                         PasstWordsAre words) {
  GetoptTables tables{.letters = words == PasstWordsAre::kLast ? "+h" : "h", .names = {}};
  int number = kNumbered;
  for (const PasstOption& one : options) {
    const int argument = one.value != nullptr ? required_argument : no_argument;
    tables.names.push_back({one.name, argument, nullptr, number++});
    if (one.letter == 0) continue;
    tables.letters += one.letter;
    if (one.value != nullptr) tables.letters += ':';
  }
  tables.names.push_back({"help", no_argument, nullptr, 'h'});
  tables.names.push_back({"version", no_argument, nullptr, kVersion});
  tables.names.push_back({"print-capabilities", no_argument, nullptr, kCapabilities});
  tables.names.push_back({nullptr, 0, nullptr, 0});
  return tables;
}

[[nodiscard]] const PasstOption& option_of(const std::vector<PasstOption>& options, int found) {
  if (found >= kNumbered) return options[static_cast<std::size_t>(found - kNumbered)];
  // getopt gives none but those that it was told of.
  return *std::ranges::find(options, static_cast<char>(found), &PasstOption::letter);
}

[[nodiscard]] EarlyExit version_of(const PasstProgram& program) {
  return {fmt::format("{}, by sluice " SLUICE_VERSION "\n", program.name), 0};
}

}  // namespace

std::expected<std::vector<std::string>, EarlyExit> read_passt_words(
    const PasstProgram& program, std::span<const char* const> words, PasstDraft& draft) {
  // getopt sorts the words, never their letters.
  std::vector<char*> sorted;
  sorted.reserve(words.size() + 1);
  for (const char* const word : words) sorted.push_back(const_cast<char*>(word));
  sorted.push_back(nullptr);
  const int count = static_cast<int>(words.size());
  const std::vector<PasstOption> options = all_of(program);
  const GetoptTables tables = getopt_tables(options, program.words);
  ::optind = 0;  // Begin anew, also after another call.
  while (true) {
    const int found =
        ::getopt_long(count, sorted.data(), tables.letters.c_str(), tables.names.data(), nullptr);
    if (found == -1) break;
    if (found == '?') return std::unexpected(EarlyExit{"", 1});
    if (found == 'h') return std::unexpected(EarlyExit{help_text(program), 0});
    if (found == kVersion) return std::unexpected(version_of(program));
    // As QEMU's document on vhost-user has it, "Backend program conventions".
    if (found == kCapabilities) return std::unexpected(EarlyExit{"{\"type\": \"net\"}\n", 0});
    const PasstOption& option = option_of(options, found);
    const std::string name = fmt::format("--{}", option.name);
    const auto taken = option.take(draft, {name, option.value != nullptr ? ::optarg : ""});
    if (!taken) return std::unexpected(passt_mistake(program, taken.error()));
  }
  return std::vector<std::string>(sorted.begin() + ::optind, sorted.end() - 1);
}

EarlyExit passt_mistake(const PasstProgram& program, const Mistake& mistake) {
  return {fmt::format("{0}: {1}; see '{0} --help'\n", program.name, mistake.text), 1};
}

}  // namespace sluice::app
