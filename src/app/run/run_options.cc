#include "app/run/run_options.h"

#include <utility>

#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/raw_options.h"

namespace sluice::app {
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
  if (auto ok = read_namespace_options(*raw, options); !ok) return wrong(ok.error());

  options.command = std::move(raw->words);
  if (options.command.empty()) options.command.emplace_back(shell.empty() ? "/bin/sh" : shell);
  if (options.command.front().empty()) {
    return wrong({"the command's name is empty; expected a program, as in 'sluice run -- curl …'"});
  }
  return options;
}

}  // namespace sluice::app
