#include "serve/server.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "netns/namespaces.h"
#include "sandbox/sandbox.h"
#include "serve/command_files.h"
#include "serve/crew.h"
#include "serve/ports/host_port_follower.h"
#include "serve/ports/port_follower.h"
#include "serve/preparation.h"
#include "serve/run_control.h"
#include "serve/run_metrics.h"
#include "telemetry/log.h"
#include "telemetry/text.h"

namespace sluice::serve {
namespace {

// When people begin to wonder why we have not ended yet.
constexpr Duration kTellAfter = std::chrono::seconds(5);
// What our own descriptors are called; the guest's places follow.
constexpr std::uint32_t kSignals = 0;
constexpr std::uint32_t kControl = 1;
constexpr std::uint32_t kAnswers = 2;
constexpr std::uint32_t kMetrics = 3;
constexpr std::uint32_t kApi = 4;
constexpr std::uint32_t kGuest = 5;

[[nodiscard]] std::string connections(std::size_t count) {
  return count == 1 ? "1 connection" : fmt::format("{} connections", count);
}

void tell_left(const driver::Undelivered& left) {
  telemetry::log_warn(
      "the guest has ended; {} still {} to be delivered, at least {} (SIGINT gives them up)",
      connections(left.flows), left.flows == 1 ? "has bytes" : "have bytes",
      telemetry::human_bytes(left.bytes));
}

void tell_given_up(const std::vector<flow::TcpFlows::GivenUp>& given_up) {
  if (given_up.empty()) return;
  constexpr std::size_t kNamedMax = 4;
  std::string whom;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < given_up.size(); ++i) {
    bytes += given_up[i].bytes;
    if (i >= kNamedMax) continue;
    whom += fmt::format("{}{}", i == 0 ? "" : ", ", wire::to_string(given_up[i].key.remote));
  }
  if (given_up.size() > kNamedMax) whom += fmt::format(" and {} more", given_up.size() - kNamedMax);
  telemetry::log_warn(
      "{} reset before all that the guest sent was delivered; at least {} are missing: {}",
      connections(given_up.size()) + (given_up.size() == 1 ? " was" : " were"),
      telemetry::human_bytes(bytes), whom);
}

// The guest's other ends of the links stop before the links go.
class Service {
 public:
  explicit Service(Guest& guest) : guest_(guest) {}
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  ~Service() { guest_.end_service(); }

 private:
  Guest& guest_;
};

// Null: nobody can control it.
[[nodiscard]] std::unique_ptr<control::ControlServer> open_control(const std::string& run) {
  auto control = control::ControlServer::open(sys::real_kernel(), run);
  if (control) {
    telemetry::log_info("run {}: 'sluice ctl {} status' shows how it stands", run, run);
    return std::move(*control);
  }
  telemetry::log_warn("no control socket, 'sluice ctl' cannot find this run: {}",
                      control.error().describe());
  return nullptr;
}

[[nodiscard]] int refused(const std::string& why) {
  telemetry::log_error("{}", why);
  return netns::kExitSetupFailed;
}

// It borrows all three.
[[nodiscard]] GuestSetting setting_of(const ServePlan& plan, const Preparation& prepared,
                                      const std::vector<std::string>& resolver_options) {
  return {.network = prepared.network,
          .resolver_options = resolver_options,
          .environment = command_environment(plan.policy),
          .fast_path = plan.fast_path,
          .joins_loopback = joins_loopback(plan),
          .follows_ports = !plan.follow.empty(),
          .workers = plan.workers,
          .signals = prepared.signals.saved(),
          .descriptor_limit = prepared.descriptor_limit};
}

// Before there is a guest, of whose processes it is none. The error is a sentence.
[[nodiscard]] std::expected<AskExec, std::string> asking_program(const ServePlan& plan,
                                                                 const Preparation& prepared) {
  if (plan.ask.program.empty()) return AskExec();
  auto started = AskExec::start(plan.ask.program, prepared.signals.saved());
  if (!started) return std::unexpected(started.error().describe());
  return std::move(*started);
}

// Nothing where nobody wants it, or the guest's kernel does not tell.
[[nodiscard]] std::optional<PortWatch> watch_guest(const ServePlan& plan, UniqueFd diagnostics,
                                                   std::unique_ptr<PortsObserver> follower) {
  if (plan.follow.empty()) return std::nullopt;
  if (diagnostics.valid()) {
    return std::optional<PortWatch>(std::in_place, netlink::ListeningPorts(std::move(diagnostics)),
                                    std::move(follower), "the guest");
  }
  telemetry::log_warn(
      "the kernel does not tell at which ports the guest waits: none is published by itself");
  return std::nullopt;
}

// The same of the host. In its network namespace, and before the process is confined.
[[nodiscard]] std::optional<PortWatch> watch_host(const ServePlan& plan,
                                                  std::unique_ptr<PortsObserver> follower) {
  if (plan.host_follow.ports.empty()) return std::nullopt;
  auto listening = netlink::ListeningPorts::open();
  if (listening) {
    return std::optional<PortWatch>(std::in_place, std::move(*listening), std::move(follower),
                                    "the host");
  }
  telemetry::log_warn(
      "the kernel does not tell at which ports the host waits: none leads out by itself: {}",
      listening.error().describe());
  return std::nullopt;
}

// What it is given is borrowed, but for the descriptor.
struct Surroundings {
  const ServePlan& plan;
  const Preparation& prepared;
  PortSet& ports;  // That are published.
  driver::WorkerGroup& workers;
};
[[nodiscard]] PortWatches watch_ports(const Surroundings& around, UniqueFd diagnostics) {
  const ServePlan& plan = around.plan;
  const auto leads_out = [&workers = around.workers](policy::Protocol protocol, wire::Port port) {
    return workers.leads_out(protocol, port);
  };
  const auto is_ours = [&ports = around.ports, metrics = around.prepared.metrics.get()](
                           policy::Protocol protocol, const wire::Endpoint& at) {
    if (ports.waits_at(protocol, at)) return true;
    return metrics != nullptr && protocol == policy::Protocol::kTcp && metrics->waits_at(at);
  };
  auto guest = std::make_unique<PortFollower>(
      around.ports, around.prepared.network,
      PortFollower::Terms{plan.follow, plan.loopback, plan.call_guest, leads_out});
  auto host = std::make_unique<HostPortFollower>(
      HostPortFollower::Terms{plan.host_follow, plan.loopback, is_ours},
      [&workers = around.workers](const auto& all) { workers.lead_out(all); });
  return {watch_guest(plan, std::move(diagnostics), std::move(guest)),
          watch_host(plan, std::move(host))};
}

// What the agent is to have made before the guest begins is waited for. The error is a sentence.
[[nodiscard]] std::expected<void, std::string> await_agent(const ServePlan& plan,
                                                           driver::WorkerGroup& workers) {
  if (plan.fast_path == policy::FastPathUse::kRequire) {
    const auto ready = workers.await_fast_path();
    if (!ready) return std::unexpected("--fast-path=require: " + ready.error().describe());
  }
  workers.await_loopback();
  return {};
}

// Each thread for itself, and before any of them reads a byte of the guest's.
[[nodiscard]] std::expected<void, sys::SetupError> confine(driver::WorkerGroup& workers,
                                                           const Guest& guest,
                                                           sandbox::Rights rights) {
  const auto enter = [&guest, rights] {
    return sandbox::enter_sandbox(sandbox::seccomp_mode_from_environment(), guest.signalled(),
                                  rights);
  };
  if (auto safe = workers.start(enter); !safe) return safe;
  return enter();
}

}  // namespace

int serve(const ServePlan& plan, Outputs outputs, Guest& guest) {
  auto prepared = prepare(plan, guest.signals());
  if (!prepared) return refused(prepared.error());
  const std::vector<std::string> resolver_options =
      resolver_options_for(plan.policy, prepared->resolvers.current().options);
  const GuestSetting setting = setting_of(plan, *prepared, resolver_options);
  auto program = asking_program(plan, *prepared);
  if (!program) return refused(program.error());
  if (const auto begun = guest.begin(setting); !begun) return refused(begun.error().describe());

  auto ends = guest.await(sys::real_kernel());
  if (!ends) return refused(ends.error().describe());
  UniqueFd diagnostics = std::move(ends->diagnostics);
  auto crew = Crew::hire(plan, *prepared, std::move(*ends), outputs);
  if (!crew) return refused(crew.error().describe());
  driver::WorkerGroup& workers = (*crew)->workers();
  if (const auto begun = workers.begin(); !begun) return refused(begun.error().describe());
  if (const auto ready = await_agent(plan, workers); !ready) return refused(ready.error());
  RunControl run_control(
      workers, outputs.events(),
      {std::string(guest.program()), plan, prepared->network, std::move(prepared->publish)});
  AskDesk desk(workers, outputs.events(), plan.ask, std::move(*program));
  run_control.ask_by(desk);
  workers.set_asker(&desk);
  // Not before the guest has its processes: none of them has this socket.
  const auto control = open_control(outputs.events().run());
  if (control) control->serve(run_control, &outputs.events());
  RunMetricsSource metrics(std::string(guest.program()), workers, outputs.events(), run_control);
  if (prepared->metrics) prepared->metrics->serve(metrics);
  HostForwards forwards(run_control.ports(), prepared->network);
  if (prepared->slirp_api) prepared->slirp_api->serve(forwards);
  PortWatches ports =
      watch_ports({plan, *prepared, run_control.ports(), workers}, std::move(diagnostics));
  ports.look_at_host(workers.now());
  workers.await_loopback();  // What the host has now leads out when the guest begins.
  const Service service(guest);
  if (const auto started = guest.start(); !started) return refused(started.error().describe());
  const bool opens_ports = prepared->slirp_api != nullptr || ports.publishes();
  const auto safe =
      confine(workers, guest, opens_ports ? sandbox::Rights::kPorts : sandbox::Rights::kNone);
  if (!safe) {
    guest.kill();
    return refused(safe.error().describe());
  }
  telemetry::EventStream& events = outputs.events();
  events.add(std::chrono::system_clock::now(),
             telemetry::StartEvent{.program = guest.program(), .version = SLUICE_VERSION});
  workers.go();
  Server server(workers, guest, prepared->signals, control.get());
  server.ask_by(desk);
  if (prepared->metrics) server.show(*prepared->metrics);
  if (prepared->slirp_api) server.serve_api(*prepared->slirp_api);
  server.follow(ports);
  const auto status = server.run();
  events.end(std::chrono::system_clock::now(), status.value_or(netns::kExitSetupFailed));
  if (control) control->turn(workers.now());  // Subscribers have the end, too.
  if (!status) {
    guest.kill();
    return refused(status.error().describe());
  }
  if (const auto& failure = guest.failure()) telemetry::log_error("{}", failure->describe());
  outputs.finish(workers.snapshot());
  return *status;
}

std::expected<void, sys::SysError> Server::watch_all() {
  if (auto watched = workers_.watch(signals_.fd(), kSignals); !watched) return watched;
  if (control_ != nullptr) {
    if (auto watched = workers_.watch(control_->fd(), kControl); !watched) return watched;
  }
  if (desk_ != nullptr && desk_->fd() >= 0) {
    if (auto watched = workers_.watch(desk_->fd(), kAnswers); !watched) return watched;
  }
  if (metrics_ != nullptr) {
    if (auto watched = workers_.watch(metrics_->fd(), kMetrics); !watched) return watched;
  }
  if (api_ != nullptr) {
    if (auto watched = workers_.watch(api_->fd(), kApi); !watched) return watched;
  }
  watched_.assign(guest_.descriptors().size(), -1);
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    if (auto watched = watch(i); !watched) return watched;
  }
  return {};
}

std::expected<void, sys::SysError> Server::watch(std::size_t place) {
  watched_[place] = guest_.descriptors()[place];
  if (watched_[place] < 0) return {};
  return workers_.watch(watched_[place], static_cast<std::uint32_t>(kGuest + place));
}

std::expected<int, sys::SysError> Server::run() {
  if (auto watched = watch_all(); !watched) return std::unexpected(watched.error());
  while (!guest_.exit_status()) turn(kNever);
  drain();
  tell_given_up(workers_.finish(*this));
  return *guest_.exit_status();
}

// People come after the guest, and when its turn is over: what they change is of no turn.
void Server::turn(Instant limit) {
  const Instant before = workers_.now();
  const Instant control_at = control_ == nullptr ? kNever : control_->next_wakeup(before);
  const Instant asks_at = desk_ == nullptr ? kNever : desk_->next_wakeup(before);
  const Instant metrics_at = metrics_ == nullptr ? kNever : metrics_->next_wakeup();
  const Instant api_at = api_ == nullptr ? kNever : api_->next_wakeup();
  const Instant ports_at = ports_ == nullptr || draining_ ? kNever : ports_->next_wakeup();
  workers_.turn(std::min({limit, control_at, asks_at, metrics_at, api_at, ports_at}), *this);
  if (desk_ != nullptr) turn_desk(asks_at);
  if (control_ != nullptr) turn_control(control_at);
  if (metrics_ != nullptr) turn_metrics(metrics_at);
  if (api_ != nullptr) turn_api(api_at);
  if (ports_ != nullptr && !draining_) ports_->turn(workers_.now());
}

void Server::turn_desk(Instant wanted) {
  const Instant now = workers_.now();
  if (std::exchange(answered_, false) || now >= wanted) desk_->turn(now);
}

void Server::turn_control(Instant wanted) {
  const Instant now = workers_.now();
  if (std::exchange(controlled_, false) || now >= wanted || control_->has_subscribers()) {
    control_->turn(now);
  }
}

void Server::turn_metrics(Instant wanted) {
  const Instant now = workers_.now();
  if (std::exchange(measured_, false) || now >= wanted) metrics_->turn(now);
}

void Server::turn_api(Instant wanted) {
  const Instant now = workers_.now();
  if (std::exchange(called_, false) || now >= wanted) api_->turn(now);
}

void Server::on_ready(std::uint32_t number) {
  if (number == kSignals) {
    on_signals();
  } else if (number == kControl) {
    controlled_ = true;
  } else if (number == kAnswers) {
    answered_ = true;
  } else if (number == kMetrics) {
    measured_ = true;
  } else if (number == kApi) {
    called_ = true;
  } else {
    on_guest(number - kGuest);
  }
}

void Server::on_link_gone() {
  // Each worker has one, and they may go at the same time.
  if (!std::exchange(link_gone_, true)) guest_.on_link_gone();
}

void Server::on_guest(std::size_t place) {
  if (watched_[place] >= 0) workers_.unwatch(watched_[place]);  // Before the guest closes it.
  guest_.on_ready(place);
  // It had its place among the watches a moment ago. Where somebody else has it now, the guest's
  // end is still seen by SIGCHLD.
  (void)watch(place);
}

// The guest has ended, and what it left in sockets is delivered for as long as its kernel would.
void Server::drain() {
  on_signals();  // Those that came before the end were the guest's.
  draining_ = true;
  workers_.begin_drain(*this);
  if (guest_.goes_on()) workers_.close_link();
  Instant tell_at = workers_.now() + kTellAfter;
  while (!abandoned_) {
    const driver::Undelivered left = workers_.undelivered(*this);
    Instant now = workers_.now();
    if (left.flows == 0 && !left.late_resets) return;
    if (left.flows > 0 && now >= tell_at) {
      tell_at = kNever;
      tell_left(left);
    }
    do {
      turn(std::min(left.until, left.flows > 0 ? tell_at : kNever));
      now = workers_.now();
    } while (now < left.look_again && !abandoned_);
  }
}

void Server::on_signals() {
  while (const auto info = signals_.read()) {
    if (info->ssi_signo == SIGUSR1) {
      std::fputs(telemetry::status_text(workers_.snapshot(), guest_.program()).c_str(), stderr);
    } else if (draining_) {
      abandoned_ = abandoned_ || info->ssi_signo == SIGINT || info->ssi_signo == SIGTERM;
    } else {
      guest_.on_signal(*info);
    }
  }
}

}  // namespace sluice::serve
