#include "app/compat/pasta/pasta_command.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

#include "app/compat/passt_process.h"
#include "app/compat/pasta/pasta_options.h"
#include "app/guest/guest_plan.h"
#include "netns/namespaces.h"
#include "serve/namespace/command_guest.h"
#include "serve/namespace/namespace_guest.h"
#include "serve/server.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

[[nodiscard]] int failed(std::string_view what) {
  telemetry::log_error("{}", what);
  return kPasstFailed;
}

// The server knows one status of its own for failures, which a command may have, too.
[[nodiscard]] int status_of(const serve::Guest& guest, int served) {
  if (served == 0) return 0;
  return guest.exit_status() && !guest.failure() ? served : kPasstFailed;
}

struct Served {
  const PastaOptions& options;
  NetworkChoice choice;
  serve::Outputs outputs;

  [[nodiscard]] serve::TapPlan tap() const {
    return {.interface = options.guest.interface,
            .ipv4_default_route = choice.ipv4_default_route,
            .configured = options.configures};
  }
  [[nodiscard]] int serve(serve::Guest& guest) {
    const serve::ServePlan plan = namespace_plan(options.guest, std::move(choice.network));
    return status_of(guest, serve::serve(plan, std::move(outputs), guest));
  }
};

// A command is nobody's, too, and root in a user namespace of that one: so it is made after we have
// become that user. It stays in the foreground, whatever was said, as its status is ours.
[[nodiscard]] int run(const PastaCommand& command, Served served, PasstProcess& process) {
  if (!served.options.only_network) {
    if (const auto done = process.become_user(); !done) return failed(done.error().text);
    // Who has become somebody else may not write to its own /proc/self/uid_map (proc(5)). Once all
    // is ready the sandbox has it so again.
    (void)::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  } else if (netns::needs_user_namespace()) {
    return failed("--netns-only: only root can make a namespace for COMMAND without another");
  }
  serve::CommandGuest guest({.command = command.words,
                             .tap = served.tap(),
                             .user = netns::GuestUser::kRoot,
                             .pid_namespace = netns::PidNamespace::kOwn,
                             .ready = [&process] { process.settle(); }});
  return served.serve(guest);
}

// Root's rights are needed to join the namespace, so that we become somebody else when it is
// served.
[[nodiscard]] int attach(const netns::TargetNames& target, Served served, PasstProcess& process) {
  if (const auto done = process.go_to_background(); !done) return failed(done.error().text);
  const auto change_user = [&process]() -> std::expected<void, sys::SetupError> {
    auto done = process.become_user();
    if (done) return {};
    return std::unexpected(sys::SetupError{std::move(done.error().text), 0, ""});
  };
  serve::NamespaceGuest guest({.target = target,
                               .tap = served.tap(),
                               .change_user = change_user,
                               .ready = [&process] { process.settle(); },
                               .stays = served.options.stays});
  return served.serve(guest);
}

}  // namespace

std::expected<int, EarlyExit> start_pasta(std::span<const char* const> words) {
  const char* const shell = std::getenv("SHELL");
  auto options = parse_pasta_options(words, shell != nullptr ? shell : "");
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program("pasta");
  telemetry::set_log_level(options->guest.log_level);
  auto outputs = serve::Outputs::open(output_plan(options->guest));
  if (!outputs) return failed(outputs.error());
  PasstProcess process("pasta", *options);
  if (const auto done = process.open_files(); !done) return failed(done.error().text);
  add_aliases(*options, options->guest.network);
  Served served{*options, network_for(options->guest), std::move(*outputs)};
  if (const auto* const command = std::get_if<PastaCommand>(&options->target)) {
    return run(*command, std::move(served), process);
  }
  return attach(std::get<netns::TargetNames>(options->target), std::move(served), process);
}

}  // namespace sluice::app
