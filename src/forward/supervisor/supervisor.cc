#include "forward/supervisor/supervisor.h"

#include <signal.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <utility>

#include "forward/listen/inherited_sockets.h"
#include "forward/supervisor/control_thread.h"
#include "service/daemon.h"
#include "sys/event_loop.h"
#include "sys/process_limits.h"
#include "sys/signal_fd.h"
#include "telemetry/log.h"

namespace sluice::forward {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

// A shell starts what it puts in the background with SIGINT ignored, and what is ignored never
// reaches a signalfd.
void stop_ignoring_signals() {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (const int signal : kSignals) ::sigaction(signal, &standard, nullptr);
}

[[nodiscard]] int failed(std::string_view why) {
  telemetry::log_error("{}", why);
  return EXIT_FAILURE;
}

}  // namespace

int run_forwarder(sys::Kernel& kernel, Plan plan, const SupervisorOptions& options) {
  if (const auto raised = sys::raise_fd_limit(); !raised) {
    telemetry::log_warn("{}; there may be too few file descriptors", raised.error().describe());
  }
  sys::grow_fd_table();
  // First: their numbers are what the environment says, and LISTEN_PID is that of this process.
  auto inherited = InheritedSockets::take(kernel);
  if (!inherited) return failed(inherited.error());
  std::optional<service::Detachment> detachment;
  // An older process that hands over to us is detached already, and we with it.
  if (options.daemonise && !inherited->is_upgrade()) {
    auto begun = service::Detachment::begin();
    if (!begun) return failed(begun.error().describe());
    detachment = std::move(*begun);
  }
  auto signals = sys::SignalFd::open(kSignals);
  if (!signals) return failed(signals.error().describe());
  stop_ignoring_signals();
  auto loop = sys::EventLoop::create(kernel);
  if (!loop) return failed(loop.error().describe());

  ControlThread control(kernel, options, *loop, *signals, *inherited, detachment);
  if (const auto started = control.start(std::move(plan)); !started) {
    return failed(started.error());
  }
  return control.run();
}

}  // namespace sluice::forward
