// `sluice run`: its words as a plan of what is served, and of the command that is the guest.
#include "app/run/run.h"

#include <cstdlib>
#include <utility>

#include "app/guest/guest_plan.h"
#include "app/options/command.h"
#include "netns/namespaces.h"
#include "serve/namespace/command_guest.h"
#include "serve/outputs.h"
#include "serve/plan.h"
#include "serve/server.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

[[nodiscard]] serve::CommandPlan command_plan(const RunOptions& options, bool ipv4_default_route) {
  return {.command = options.command,
          .tap = {.interface = options.interface, .ipv4_default_route = ipv4_default_route},
          .hidden = options.hidden,
          .user = options.as_root ? netns::GuestUser::kRoot : netns::GuestUser::kCaller,
          .pid_namespace =
              options.pid_namespace ? netns::PidNamespace::kOwn : netns::PidNamespace::kShared};
}

}  // namespace

int run_command(const RunOptions& options) {
  auto outputs = serve::Outputs::open(output_plan(options));
  if (!outputs) {
    telemetry::log_error("{}", outputs.error());
    return netns::kExitSetupFailed;
  }
  NetworkChoice choice = network_for(options);
  if (!choice.ipv4_default_route) {
    telemetry::log_info("the host has no way by IPv4, so the guest gets none");
  }
  serve::CommandGuest guest(command_plan(options, choice.ipv4_default_route));
  serve::ServePlan plan = namespace_plan(options, std::move(choice.network));
  plan.ask.command = shown_command(options.command);
  return serve::serve(plan, std::move(*outputs), guest);
}

std::expected<int, EarlyExit> start_run(std::span<const char* const> arguments) {
  const char* const shell = std::getenv("SHELL");
  const auto options = parse_run_options(arguments, shell != nullptr ? shell : "");
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kRunCommand.program);
  telemetry::set_log_level(options->log_level);
  tell_policy(*options);
  return run_command(*options);
}

}  // namespace sluice::app
