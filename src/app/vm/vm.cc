#include "app/vm/vm.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <utility>
#include <variant>

#include "app/guest/guest_plan.h"
#include "app/options/command.h"
#include "app/vm/vm_options.h"
#include "serve/machine_guest.h"
#include "serve/outputs.h"
#include "serve/server.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

constexpr int kExitSetupFailed = 125;  // As `run` has it.

}  // namespace

std::expected<int, EarlyExit> start_vm(std::span<const char* const> arguments) {
  const auto options = parse_vm_options(arguments);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kVmCommand.program);
  telemetry::set_log_level(options->log_level);
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
  return serve::serve(serve_plan(*options, network_for(*options).network), std::move(*outputs),
                      guest);
}

}  // namespace sluice::app
