#include "app/top/top.h"

#include <cstdio>
#include <utility>

#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/raw_options.h"
#include "app/top/top_session.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

[[nodiscard]] int failed(const std::string& why) {
  telemetry::log_error("{}", why);
  return 1;
}

}  // namespace

std::expected<TopOptions, EarlyExit> parse_top_options(std::span<const char* const> arguments) {
  const Command& command = kTopCommand;
  const auto raw = split_arguments(command, arguments);
  if (!raw) return std::unexpected(usage_error(command.program, raw.error()));
  if (auto exit = help_or_version(command, *raw)) return std::unexpected(std::move(*exit));
  if (raw->words.size() > 1) {
    return std::unexpected(usage_error(command.program, {"more than one run"}));
  }
  return TopOptions{.run = raw->words.empty() ? "" : raw->words.front(),
                    .once = raw->has(OptionId::kOnce)};
}

std::expected<int, EarlyExit> start_top(std::span<const char* const> arguments) {
  const auto options = parse_top_options(arguments);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kTopCommand.program);
  auto run = connect_to_run(options->run);
  if (!run) return failed(run.error());
  TopSession session(std::move(*run));
  if (options->once) {
    if (const auto looked = session.look(); !looked) return failed(looked.error());
    std::fputs(session.text().c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
  }
  std::string problem;
  {
    auto terminal = Terminal::open();
    if (!terminal) return failed("this is no terminal; --once prints one look");
    if (auto shown = session.show(*terminal); !shown) problem = shown.error();
  }
  // The run's end is no failure of ours.
  if (!problem.empty()) telemetry::log_warn("{}", problem);
  return 0;
}

}  // namespace sluice::app
