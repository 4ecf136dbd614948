// `sluice run`: its words as a plan of what is served, and of the command that is the guest.
#include "app/run/run.h"

#include <cstdlib>
#include <utility>

#include "app/options/command.h"
#include "app/run/network_choice.h"
#include "netlink/host_routes.h"
#include "netns/namespaces.h"
#include "serve/command_guest.h"
#include "serve/outputs.h"
#include "serve/plan.h"
#include "serve/server.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

// As it becomes on this host. Whose routes cannot be read is served the usual one.
[[nodiscard]] NetworkChoice network_for(const RunOptions& options) {
  const auto routes = netlink::read_host_routes();
  if (!routes) telemetry::log_info("the host's routes: {}", routes.error().describe());
  NetworkChoice choice = choose_network(options, routes ? *routes : netlink::HostRoutes{});
  for (const std::string& warning : choice.warnings) telemetry::log_warn("{}", warning);
  if (!choice.ipv4_default_route) {
    telemetry::log_info("the host has no way by IPv4, so the guest gets none");
  }
  return choice;
}

[[nodiscard]] serve::OutputPlan output_plan(const RunOptions& options) {
  return {.report = options.report,
          .report_file = options.report_file,
          .flow_log = options.flow_log,
          .pcap = options.pcap,
          .trace = options.trace,
          .trace_file = options.trace_file};
}

[[nodiscard]] serve::ServePlan serve_plan(const RunOptions& options, flow::GuestNetwork network) {
  return {.network = std::move(network),
          .deny = options.deny,
          .allow = options.allow,
          .limits = options.limits,
          .host_loopback = options.host_loopback,
          .host_addresses = options.host_addresses,
          .nat64_prefixes = options.nat64_prefixes,
          .publish = options.publish,
          .fast_path = options.fast_path};
}

[[nodiscard]] serve::CommandPlan command_plan(const RunOptions& options, bool ipv4_default_route) {
  return {.command = options.command,
          .interface = options.interface,
          .ipv4_default_route = ipv4_default_route,
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
  serve::CommandGuest guest(command_plan(options, choice.ipv4_default_route));
  return serve::serve(serve_plan(options, std::move(choice.network)), std::move(*outputs), guest);
}

std::expected<int, EarlyExit> start_run(std::span<const char* const> arguments) {
  const char* const shell = std::getenv("SHELL");
  const auto options = parse_run_options(arguments, shell != nullptr ? shell : "");
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kRunCommand.program);
  telemetry::set_log_level(options->log_level);
  return run_command(*options);
}

}  // namespace sluice::app
