#include "app/forward/forward_command.h"

#include <cstdio>
#include <string>
#include <utility>

#include "app/forward/forward_options.h"
#include "app/forward/forward_plan.h"
#include "app/options/command.h"
#include "config/forward_config.h"
#include "forward/supervisor/supervisor.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

constexpr int kExitBadConfiguration = 2;

// To standard output; a closed pipe or a full disk behind it is a failure.
int print_plan(const forward::Plan& plan, CheckFormat format) {
  const std::string text =
      format == CheckFormat::kJson ? config::describe_plan_json(plan) : config::describe_plan(plan);
  std::fputs(text.c_str(), stdout);
  if (text.empty() || text.back() != '\n') std::fputc('\n', stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

int run(const ForwardOptions& options, forward::Plan plan, std::span<const char* const> words) {
  forward::SupervisorOptions supervisor;
  supervisor.output_style = forward::OutputStyle::kSluice;
  supervisor.verbose = options.verbose;
  supervisor.watch = options.watch;
  supervisor.user = options.user;
  supervisor.events_file = options.events_file;
  supervisor.command_line.assign(words.begin(), words.end());
  if (!options.config_file.empty()) {
    supervisor.config_file = options.config_file;
    supervisor.reload = plan_reader(
        options.config_file,
        [overrides = options.overrides](forward::Plan& renewed) { overrides.apply(renewed); });
  }
  return forward::run_forwarder(sys::real_kernel(), std::move(plan), supervisor);
}

}  // namespace

std::expected<int, EarlyExit> start_forward(std::span<const char* const> words,
                                            std::span<const char* const> arguments) {
  const auto options = parse_forward_options(arguments);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kForwardCommand.program);
  telemetry::set_log_level(options->log_level);

  auto plan = options->config_file.empty() ? plan_of_rules(options->rules)
                                           : load_plan(options->config_file);
  if (!plan) {
    log_config_errors(plan.error());
    return kExitBadConfiguration;
  }
  options->overrides.apply(*plan);
  if (options->check != CheckFormat::kNone) return print_plan(*plan, options->check);
  return run(*options, std::move(*plan), words);
}

}  // namespace sluice::app
