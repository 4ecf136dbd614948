#include "app/compat/passt_command.h"

#include <fmt/core.h>

#include <string>
#include <utility>

#include "app/compat/passt_options.h"
#include "app/compat/passt_process.h"
#include "app/guest/guest_plan.h"
#include "serve/machine_guest.h"
#include "serve/server.h"
#include "sys/kernel.h"
#include "sys/unix_socket.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

// The first of passt's own places where nobody listens.
[[nodiscard]] std::string free_socket() {
  constexpr int kPlaces = 64;
  for (int i = 1; i <= kPlaces; ++i) {
    std::string path = fmt::format("/tmp/passt_{}.socket", i);
    if (!sys::somebody_listens(sys::real_kernel(), path)) return path;
  }
  return {};
}

[[nodiscard]] int failed(std::string_view what) {
  telemetry::log_error("{}", what);
  return kPasstFailed;
}

}  // namespace

std::expected<int, EarlyExit> start_passt(std::span<const char* const> words) {
  auto options = parse_passt_options(words, free_socket);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program("passt");
  telemetry::set_log_level(options->vm.log_level);
  auto outputs = serve::Outputs::open(output_plan(options->vm));
  if (!outputs) return failed(outputs.error());
  PasstProcess process("passt", *options);
  if (const auto done = process.open_files(); !done) return failed(done.error().text);
  if (const auto done = process.become_user(); !done) return failed(done.error().text);
  if (const auto done = process.go_to_background(); !done) return failed(done.error().text);
  options->vm.machine.ready = [&process] { process.settle(); };
  add_aliases(*options, options->vm.network);
  serve::MachineGuest guest(options->vm.machine);
  const int status = serve::serve(serve_plan(options->vm, network_for(options->vm).network),
                                  std::move(*outputs), guest);
  return status == 0 ? 0 : kPasstFailed;
}

}  // namespace sluice::app
