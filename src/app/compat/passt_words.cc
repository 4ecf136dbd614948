#include "app/compat/passt_words.h"

#include <fmt/core.h>

#include <iterator>
#include <string_view>
#include <utility>

#include "base/unreachable.h"

namespace sluice::app {
namespace {

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

// Behind those of the tables.
enum class Telling : std::uint8_t { kHelp, kVersion, kCapabilities };
constexpr GetoptOption kTellings[] = {
    {"help", 'h', false}, {"version", 0, false}, {"print-capabilities", 0, false}};

[[nodiscard]] EarlyExit told(const PasstProgram& program, Telling what) {
  switch (what) {
    case Telling::kHelp: return {help_text(program), 0};
    case Telling::kVersion:
      return {fmt::format("{}, by sluice " SLUICE_VERSION "\n", program.name), 0};
    // As QEMU's document on vhost-user has it, "Backend program conventions".
    case Telling::kCapabilities: return {"{\"type\": \"net\"}\n", 0};
  }
  unreachable("what is told, outside its enum");
}

}  // namespace

std::expected<std::vector<std::string>, EarlyExit> read_passt_words(
    const PasstProgram& program, std::span<const char* const> words, PasstDraft& draft) {
  const std::vector<PasstOption> table = all_of(program);
  std::vector<GetoptOption> options = getopt_options(table);
  options.insert(options.end(), std::begin(kTellings), std::end(kTellings));
  GetoptWords getopt(words, std::move(options), program.words);
  while (true) {
    const auto found = getopt.next();
    if (!found) return std::unexpected(found.error());
    if (!*found) return getopt.others();
    const auto& [number, text] = **found;
    if (number >= table.size()) {
      return std::unexpected(told(program, static_cast<Telling>(number - table.size())));
    }
    const std::string name = fmt::format("--{}", table[number].name);
    const auto taken = table[number].take(draft, {name, text});
    if (!taken) return std::unexpected(passt_mistake(program, taken.error()));
  }
}

EarlyExit passt_mistake(const PasstProgram& program, const Mistake& mistake) {
  return {fmt::format("{0}: {1}; see '{0} --help'\n", program.name, mistake.text), 1};
}

}  // namespace sluice::app
