#include "app/compat/oi_command.h"

#include <fmt/core.h>

#include <cstdio>
#include <string>
#include <utility>

#include "app/forward/forward_plan.h"
#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/raw_options.h"
#include "forward/supervisor/supervisor.h"
#include "telemetry/log.h"

namespace sluice::app {

std::expected<int, EarlyExit> start_oi(std::span<const char* const> words) {
  const auto wrong = [](const Mistake& mistake) {
    return std::unexpected(usage_error(kOiProgram.program, mistake));
  };
  const auto raw = split_arguments(kOiProgram, words.subspan(1));
  if (!raw) return wrong(raw.error());
  if (const auto exit = help_or_version(kOiProgram, *raw)) return std::unexpected(*exit);
  if (!raw->words.empty()) {
    return wrong({fmt::format("'{}' is unexpected; expected --config FILE", raw->words.front())});
  }
  if (!raw->has(OptionId::kConfig)) return wrong({"no --config; expected --config FILE"});
  const std::string& path = raw->all(OptionId::kConfig).back();

  telemetry::set_log_program(kOiProgram.program);
  const bool verbose = raw->has(OptionId::kVerbose);
  if (verbose) {
    telemetry::set_log_level(telemetry::LogLevel::kInfo);
    fmt::print("Loading configuration from {}\n", path);
  }
  auto plan = load_plan(path);
  if (!plan) {
    for (const config::ConfigMessage& error : plan.error()) {
      fmt::print(stderr, "Error loading config: {}\n", error.describe());
    }
    return 1;
  }
  // The program whose place we take reads its file once; SIGHUP is enough to have it read again.
  const forward::SupervisorOptions options{.reload = plan_reader(path, [](forward::Plan&) {}),
                                           .config_file = path,
                                           .watch = false,
                                           .output_style = forward::OutputStyle::kOi,
                                           .verbose = verbose,
                                           .skip_bad_listeners = true,
                                           .command_line = {words.begin(), words.end()}};
  return forward::run_forwarder(sys::real_kernel(), std::move(*plan), options);
}

}  // namespace sluice::app
