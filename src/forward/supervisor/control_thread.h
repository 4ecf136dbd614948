// The supervisor at work: one event loop over signals, answers of workers, the watched file, a new
// process, name resolution and health checks. It sleeps until one of them has something to say.
//
// A plan, the first one or a reloaded one, comes into force in two steps. install() checks and
// opens all that can fail, and changes nothing. Then, once the names of new targets are known or
// kNamesPatience has passed, the workers get the new listeners and rules at once: until then
// clients of new listeners wait in the kernel's queue, as their first connections would fail.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event_tag.h"
#include "forward/listen/inherited_sockets.h"
#include "forward/listen/upgrade.h"
#include "forward/sight/sight.h"
#include "forward/supervisor/health.h"
#include "forward/supervisor/listener_set.h"
#include "forward/supervisor/resolver.h"
#include "forward/supervisor/supervisor.h"
#include "forward/supervisor/worker_pool.h"
#include "service/daemon.h"
#include "service/file_watch.h"
#include "sys/event_loop.h"
#include "sys/signal_fd.h"

namespace sluice::forward {

enum class ControlEvent : std::uint8_t {
  kSignals,
  kWorkers,
  kConfigFile,
  kUpgrade,
  kResolver,
  kHealth,
  kControl,
};
using ControlTag = sluice::EventTag<ControlEvent>;

inline constexpr Duration kNamesPatience = std::chrono::seconds{1};
// Workers answer in their next turn; one that is stuck must not hold up the rest.
inline constexpr Duration kWorkersPatience = std::chrono::seconds{1};

class ControlThread {
 public:
  // All outlive it.
  ControlThread(sys::Kernel& kernel, const SupervisorOptions& options, sys::EventLoop& loop,
                sys::SignalFd& signals, InheritedSockets& inherited,
                std::optional<service::Detachment>& detachment);
  ~ControlThread();

  // Opens everything and starts the threads; they have no listener yet. The error is one line.
  [[nodiscard]] std::expected<void, std::string> start(Plan plan);
  // Returns the exit status, once the workers have ended.
  [[nodiscard]] int run();

 private:
  class ForPeople;  // control_people.h

  // A plan that is checked and open, but not in force.
  struct Pending {
    Plan plan;
    ListenerSet::Change listeners;
    std::vector<std::shared_ptr<LiveRule>> rules;
    std::shared_ptr<LogFile> log;
    Instant at_latest;
    std::string by;  // Who wanted it.
  };
  // In force, but for what the workers have not done yet.
  struct Reloaded {
    std::string by;
    telemetry::ReloadEvent event;  // Without `by`.
    Instant at_latest;             // Then it is told in any case.
    [[nodiscard]] telemetry::ReloadEvent told() const {
      telemetry::ReloadEvent whole = event;
      whole.by = by;
      return whole;
    }
  };
  struct Draining {
    Instant end;          // Then what is left is cut.
    Instant next_report;  // Of what is left.
    bool by_signal;       // Else a new process has taken over.
  };

  [[nodiscard]] std::expected<void, std::string> change_identity();
  void turn();
  void dispatch(const epoll_event& event, Instant now);
  void on_time(Instant now);
  [[nodiscard]] Instant next_deadline() const;

  // control_signals.cc
  void on_signals(Instant now);
  void on_signal(int signal, Instant now);
  void on_end_signal(int signal, Instant now);
  void drain(Instant now, Instant end, bool by_signal);
  void report_draining(Instant now);
  void ask_counters(Instant now);
  void print_counters();
  void start_upgrade(Instant now);
  void on_upgrade(Instant now);
  void upgrade_failed();

  // control_install.cc
  [[nodiscard]] std::expected<void, std::string> install(Plan plan, Instant now,
                                                         std::string_view who);
  [[nodiscard]] std::expected<std::shared_ptr<LogFile>, std::string> open_log(const Plan& plan);
  [[nodiscard]] std::expected<void, std::string> write_pid_file(const std::string& path);
  [[nodiscard]] std::vector<std::shared_ptr<LiveRule>> live_rules(const Plan& plan, Instant now);
  // The error is a line for each mistake, and was told.
  std::expected<void, std::string> reload(Instant now, std::string_view who);
  [[nodiscard]] std::unexpected<std::string> refuse_reload(std::string why, std::string_view who);
  void warn_of_fixed_settings(const Plan& plan) const;
  void finish_install();
  void tell_reloaded();
  [[nodiscard]] bool finish_start();
  // Whether a log or a pid file that cannot be written is an error: rinetd and oi go on without.
  [[nodiscard]] bool is_strict() const { return options_.output_style == OutputStyle::kSluice; }

  sys::Kernel& kernel_;
  const SupervisorOptions& options_;
  sys::EventLoop& loop_;
  sys::SignalFd& signals_;
  InheritedSockets& inherited_;
  std::optional<service::Detachment>& detachment_;

  Plan plan_;  // In force.
  std::vector<std::shared_ptr<LiveRule>> rules_;
  std::optional<service::PidFile> pid_file_;
  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<ForPeople> for_people_;
  std::unique_ptr<Sight> sight_;  // After the workers, before whom it goes.
  std::optional<ListenerSet> listeners_;
  std::unique_ptr<Resolver> resolver_;
  std::optional<HealthChecks> health_;
  std::optional<service::FileWatch> watch_;
  std::optional<Pending> pending_;
  std::optional<Reloaded> reloaded_;
  std::optional<Upgrade> upgrade_;
  Instant upgrade_end_ = kNever;
  std::optional<Draining> draining_;
  Instant counters_at_latest_ = kNever;
  std::uint64_t generation_ = 1;  // Of plan_: how many there have been.
  bool serving_ = false;          // The first plan is in force.
  bool failed_ = false;           // It could not be put in force.
  std::array<epoll_event, 64> events_{};
};

}  // namespace sluice::forward
