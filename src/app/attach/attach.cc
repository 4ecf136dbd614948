// `sluice attach`: its words as a plan of what is served, and of the namespace that is the guest.
#include "app/attach/attach.h"

#include <fmt/core.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "app/attach/attach_options.h"
#include "app/attach/given_descriptor.h"
#include "app/guest/guest_plan.h"
#include "app/options/command.h"
#include "base/unique_fd.h"
#include "netns/namespaces.h"
#include "serve/namespace/namespace_guest.h"
#include "serve/outputs.h"
#include "serve/server.h"
#include "service/daemon.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

[[nodiscard]] std::string name_of(const netns::TargetNames& target) {
  return target.process ? fmt::format("{}", *target.process) : target.network;
}

// Who waits for the network.
struct Waiting {
  std::optional<service::Detachment> shell;
  UniqueFd ready;

  void tell() {
    // A reader that has gone does not wait any more.
    if (ready.valid()) (void)!::write(ready.get(), "1", 1);
    ready.reset();
    if (shell) shell->detached();
    shell.reset();
  }
};

}  // namespace

std::expected<int, EarlyExit> start_attach(std::span<const char* const> arguments) {
  auto options = parse_attach_options(arguments);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kAttachCommand.program);
  telemetry::set_log_level(options->log_level);
  // Before we open any, which might get these numbers.
  auto ready = take_given("--ready-fd", options->ready_fd);
  if (!ready) return std::unexpected(usage_error(kAttachCommand.program, ready.error()));
  auto until = take_given("--exit-fd", options->exit_fd);
  if (!until) return std::unexpected(usage_error(kAttachCommand.program, until.error()));
  tell_policy(*options);
  auto outputs = serve::Outputs::open(output_plan(*options));
  if (!outputs) {
    telemetry::log_error("{}", outputs.error());
    return netns::kExitSetupFailed;
  }
  Waiting waiting{.shell = std::nullopt, .ready = std::move(*ready)};
  if (options->background) {
    auto begun = service::Detachment::begin();
    if (!begun) {
      telemetry::log_error("--background: {}", begun.error().describe());
      return netns::kExitSetupFailed;
    }
    waiting.shell.emplace(std::move(*begun));
  }
  NetworkChoice choice = network_for(*options);
  serve::NamespacePlan attached;
  attached.target = options->target;
  attached.tap.interface = options->interface;
  attached.tap.ipv4_default_route = choice.ipv4_default_route;
  attached.pid_file = options->pid_file;
  attached.until = std::move(*until);
  attached.ready = [&waiting] { waiting.tell(); };
  serve::NamespaceGuest guest(std::move(attached));
  serve::ServePlan plan = namespace_plan(*options, std::move(choice.network));
  plan.ask.command = fmt::format("{} {}", kAttachCommand.program, name_of(options->target));
  return serve::serve(plan, std::move(*outputs), guest);
}

}  // namespace sluice::app
