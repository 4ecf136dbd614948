#include "app/vm/vm.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "app/guest/guest_plan.h"
#include "app/options/command.h"
#include "app/vm/vm_options.h"
#include "serve/machine_guest.h"
#include "serve/outputs.h"
#include "serve/server.h"
#include "sys/process_limits.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

constexpr int kExitSetupFailed = 125;  // As `run` has it.

// A thread for each pair of queues, where there are cores for them; a socket has but one.
[[nodiscard]] std::uint32_t workers_for(const VmOptions& options) {
  if (options.workers) return *options.workers;
  if (options.trace != nullptr) return 1;  // A timeline is of one.
  const auto* const shared = std::get_if<serve::MachineVhostUser>(&options.machine.link);
  return shared == nullptr ? 1 : std::min<std::uint32_t>(shared->queues, sys::usable_cores());
}

}  // namespace

std::expected<int, EarlyExit> start_vm(std::span<const char* const> arguments) {
  const auto options = parse_vm_options(arguments);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kVmCommand.program);
  telemetry::set_log_level(options->log_level);
  tell_policy(*options);
  if (const auto* const given = std::get_if<serve::MachineDescriptor>(&options->machine.link)) {
    // Before we open any, which might get this number.
    if (::fcntl(given->fd, F_GETFD) < 0) {
      return std::unexpected(usage_error(
          kVmCommand.program,
          {fmt::format("--fd: descriptor {} is not open; whoever starts us must leave it open",
                       given->fd)}));
    }
  }
  auto outputs = serve::Outputs::open(output_plan(*options));
  if (!outputs) {
    telemetry::log_error("{}", outputs.error());
    return kExitSetupFailed;
  }
  serve::MachineGuest guest(options->machine);
  serve::ServePlan plan = serve_plan(*options, network_for(*options).network);
  plan.workers = workers_for(*options);
  return serve::serve(plan, std::move(*outputs), guest);
}

}  // namespace sluice::app
