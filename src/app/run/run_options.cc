#include "app/run/run_options.h"

#include <utility>

#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/interface_name.h"
#include "app/options/raw_options.h"
#include "app/options/value_option.h"

namespace sluice::app {
namespace {

using Checked = std::expected<void, Mistake>;

constexpr config::Named<policy::FastPathUse> kFastPaths[] = {
    {"auto", policy::FastPathUse::kAuto},
    {"off", policy::FastPathUse::kOff},
    {"require", policy::FastPathUse::kRequire}};

Checked read_interface(const std::vector<std::string>& texts, RunOptions& options) {
  for (const std::string& text : texts) {
    if (!is_interface_name(text) || text == "lo") {
      return fail(
          "--interface: '{}' cannot name the guest's interface; expected 1 to 15 characters "
          "without '/', ':', '%' or spaces, and not 'lo'",
          text);
    }
    options.interface = text;
  }
  return {};
}

Checked read_fast_path(const RawOptions& raw, RunOptions& options) {
  for (const std::string& text : raw.all(OptionId::kFastPath)) {
    const auto when = parse_named("--fast-path", text, kFastPaths);
    if (!when) return std::unexpected(when.error());
    options.fast_path = *when;
  }
  return {};
}

}  // namespace

std::expected<RunOptions, EarlyExit> parse_run_options(std::span<const char* const> arguments,
                                                       std::string_view shell) {
  const auto wrong = [](const Mistake& mistake) {
    return std::unexpected(usage_error(kRunCommand.program, mistake));
  };
  auto raw = split_arguments(kRunCommand, arguments);
  if (!raw) return wrong(raw.error());
  if (const auto exit = help_or_version(kRunCommand, *raw)) return std::unexpected(*exit);

  RunOptions options;
  options.as_root = raw->has(OptionId::kAsRoot);
  options.pid_namespace = raw->has(OptionId::kPid);
  if (auto ok = read_guest_options(*raw, kMtuDefault, options); !ok) return wrong(ok.error());
  if (auto ok = read_interface(raw->all(OptionId::kInterface), options); !ok) {
    return wrong(ok.error());
  }
  if (auto ok = read_fast_path(*raw, options); !ok) return wrong(ok.error());

  options.command = std::move(raw->words);
  if (options.command.empty()) options.command.emplace_back(shell.empty() ? "/bin/sh" : shell);
  if (options.command.front().empty()) {
    return wrong({"the command's name is empty; expected a program, as in 'sluice run -- curl …'"});
  }
  return options;
}

}  // namespace sluice::app
