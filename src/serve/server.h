// Serves one guest, from its set-up until it has ended and what it left in its sockets is
// delivered: signals, the end, the report. One thread, which is the first worker's.
#pragma once

#include <csignal>
#include <expected>
#include <vector>

#include "control/control_server.h"
#include "driver/worker_group.h"
#include "serve/ask/ask_desk.h"
#include "serve/guest.h"
#include "serve/metrics/metrics_server.h"
#include "serve/outputs.h"
#include "serve/plan.h"
#include "serve/ports/port_watch.h"
#include "serve/slirp_api/slirp_api_server.h"
#include "sys/signal_fd.h"
#include "sys/sys_error.h"

namespace sluice::serve {

// Opens what needs privileges or can be refused, has the guest set itself up, gives up all
// privileges, and serves. Returns the guest's exit status, or 125; errors have been printed.
[[nodiscard]] int serve(const ServePlan& plan, Outputs outputs, Guest& guest);

// The part behind the set-up: the guest has been started, and the process is confined.
class Server final : private driver::Outside {
 public:
  // References are not owned; nor is `control`, which may be null.
  Server(driver::WorkerGroup& workers, Guest& guest, sys::SignalFd& signals,
         control::ControlServer* control)
      : workers_(workers), guest_(guest), signals_(signals), control_(control) {}

  // Who asks people; not owned. Before run().
  void ask_by(AskDesk& desk) { desk_ = &desk; }
  // Not owned; before run().
  void show(MetricsServer& metrics) { metrics_ = &metrics; }
  void serve_api(SlirpApiServer& api) { api_ = &api; }
  void follow(PortWatches& ports) { ports_ = &ports; }

  // Returns the guest's exit status. It is not served where its end cannot be watched for.
  [[nodiscard]] std::expected<int, sys::SysError> run();

 private:
  void on_ready(std::uint32_t number) override;
  void on_link_gone() override;
  [[nodiscard]] std::expected<void, sys::SysError> watch_all();
  [[nodiscard]] std::expected<void, sys::SysError> watch(std::size_t place);
  void turn(Instant limit);
  void turn_desk(Instant wanted);
  void turn_control(Instant wanted);
  void turn_metrics(Instant wanted);
  void turn_api(Instant wanted);
  void on_signals();
  void on_guest(std::size_t place);
  void drain();

  driver::WorkerGroup& workers_;
  Guest& guest_;
  sys::SignalFd& signals_;
  control::ControlServer* control_;
  AskDesk* desk_ = nullptr;
  MetricsServer* metrics_ = nullptr;  // Null: nobody wants them.
  SlirpApiServer* api_ = nullptr;     // The same.
  PortWatches* ports_ = nullptr;      // The same.
  std::vector<int> watched_;          // The guest's descriptors by place; negative: none.
  bool answered_ = false;             // The program that answers questions has said something.
  bool controlled_ = false;           // Somebody wants something at the control socket.
  bool measured_ = false;             // ... at the metrics' port.
  bool called_ = false;               // ... at slirp4netns' API socket.
  bool link_gone_ = false;
  bool draining_ = false;   // The guest has ended.
  bool abandoned_ = false;  // ... and whoever waits for us does not want to.
};

}  // namespace sluice::serve
