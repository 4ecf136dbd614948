// What signals ask for: the end, counters, a new process. Reloads are in control_install.cc.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "forward/supervisor/announce.h"
#include "forward/supervisor/control_thread.h"
#include "forward/supervisor/counters_text.h"
#include "service/readiness.h"

namespace sluice::forward {
namespace {

// Most sessions end at once; nobody needs to hear of those.
constexpr Duration kFirstReport = std::chrono::seconds{1};
constexpr Duration kReportEvery = std::chrono::seconds{5};
// People who stop oi expect it gone within ten seconds.
constexpr Duration kOiDrain = std::chrono::seconds{5};

}  // namespace

void ControlThread::on_signals(Instant now) {
  while (const auto info = signals_.read()) on_signal(static_cast<int>(info->ssi_signo), now);
}

void ControlThread::on_signal(int signal, Instant now) {
  switch (signal) {
    case SIGINT:
    case SIGTERM: on_end_signal(signal, now); return;
    case SIGHUP: (void)reload(now, "signal"); return;
    case SIGUSR1: ask_counters(now); return;
    case SIGUSR2: start_upgrade(now); return;
    default: return;
  }
}

void ControlThread::on_end_signal(int signal, Instant now) {
  // The first one after a hand-over only sets a limit.
  if (draining_ && draining_->by_signal) {
    pool_->stop();
    return;
  }
  announce_shutdown(options_.output_style, signal);
  Duration patience = plan_.drain_timeout;
  if (options_.output_style == OutputStyle::kOi) {
    patience = patience == Duration::zero() ? kOiDrain : std::min(patience, kOiDrain);
  }
  const Instant end = patience == Duration::zero() ? kNever : now + patience;
  if (!draining_) {
    service::notify_stopping("draining");
    listeners_->remove_paths();
  }
  drain(now, end, true);
}

void ControlThread::drain(Instant now, Instant end, bool by_signal) {
  if (upgrade_ && by_signal) {
    upgrade_->abandon();
    upgrade_.reset();
    upgrade_end_ = kNever;
  }
  if (!draining_) {
    // There will be no new sessions. What was about to be installed closes its sockets.
    pending_.reset();
    if (reloaded_) sight_->on_reload(reloaded_->told());
    reloaded_.reset();
    resolver_.reset();
    health_.reset();
    watch_.reset();
    pool_->drain();
  }
  draining_ = Draining{end, now + kFirstReport, by_signal};
}

void ControlThread::report_draining(Instant now) {
  draining_->next_report = now + kReportEvery;
  const std::uint32_t sessions = pool_->sessions();
  announce_draining(options_.output_style, sessions, now, draining_->end);
  if (draining_->by_signal)
    service::notify_status("draining: " + counted(sessions, "session") + " left");
}

void ControlThread::ask_counters(Instant now) {
  pool_->publish_counters();
  counters_at_latest_ = now + kWorkersPatience;
}

void ControlThread::print_counters() {
  counters_at_latest_ = kNever;
  std::vector<RuleSnapshot> snapshots;
  for (const auto& rule : rules_) snapshots.push_back(snapshot_of(*rule));
  const std::string table = counters_table(snapshots);
  announce("{}, {}", counted(pool_->sessions(), "session"),
           summary_of(plan_, *listeners_, pool_->size()));
  std::fwrite(table.data(), 1, table.size(), stderr);
  std::fflush(stderr);
}

void ControlThread::start_upgrade(Instant now) {
  if (draining_ || upgrade_ || !serving_) {
    announce("upgrade refused: {}", draining_  ? "this process is about to end"
                                    : upgrade_ ? "one is under way"
                                               : "this process has not started yet");
    return;
  }
  if (pending_) finish_install();
  if (reloaded_) tell_reloaded();
  auto upgrade =
      Upgrade::start(options_.command_line, listeners_->passed_sockets(), signals_.saved());
  if (!upgrade) {
    telemetry::log_error("upgrade: {}; this process goes on", upgrade.error());
    return;
  }
  service::notify_reloading(now);
  upgrade_ = std::move(*upgrade);
  upgrade_end_ = now + kUpgradeTimeout;
  if (!loop_.add(upgrade_->fd(), EPOLLIN, ControlTag{ControlEvent::kUpgrade}.pack())) {
    upgrade_failed();
    return;
  }
  announce("upgrade: process {} takes over", upgrade_->pid());
}

void ControlThread::on_upgrade(Instant now) {
  if (!upgrade_) return;
  switch (upgrade_->check()) {
    case Upgrade::State::kStarting: return;
    case Upgrade::State::kFailed: upgrade_failed(); return;
    case Upgrade::State::kServes: break;
  }
  announce("upgrade: process {} serves; this one ends with its last session", upgrade_->pid());
  service::notify_main_pid(upgrade_->pid(), "upgraded");
  upgrade_.reset();
  upgrade_end_ = kNever;
  // The paths and the pid file are the new process's now.
  listeners_->forget_paths();
  drain(now, kNever, false);
}

void ControlThread::upgrade_failed() {
  upgrade_->abandon();
  telemetry::log_error("upgrade: {}; this process goes on", upgrade_->failure());
  upgrade_.reset();
  upgrade_end_ = kNever;
  service::notify_ready(summary_of(plan_, *listeners_, pool_->size()));
}

}  // namespace sluice::forward
