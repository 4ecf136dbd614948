#include "forward/supervisor/control_thread.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "forward/supervisor/announce.h"
#include "forward/supervisor/control_people.h"
#include "forward/supervisor/privileges.h"
#include "sandbox/supervisor_sandbox.h"
#include "service/readiness.h"
#include "sys/process_limits.h"
#include "telemetry/log.h"

namespace sluice::forward {
ControlThread::ControlThread(sys::Kernel& kernel, const SupervisorOptions& options,
                             sys::EventLoop& loop, sys::SignalFd& signals,
                             InheritedSockets& inherited,
                             std::optional<service::Detachment>& detachment)
    : kernel_(kernel),
      options_(options),
      loop_(loop),
      signals_(signals),
      inherited_(inherited),
      detachment_(detachment) {}

ControlThread::~ControlThread() = default;

std::expected<void, std::string> ControlThread::start(Plan plan) {
  const std::uint32_t count = plan.workers == 0 ? sys::usable_cores() : plan.workers;
  auto pool = WorkerPool::create(kernel_, count, plan.relay);
  if (!pool) return std::unexpected("cannot make workers: " + pool.error().describe());
  pool_ = std::move(*pool);
  listeners_.emplace(kernel_, inherited_, count);
  auto resolver = Resolver::create(loop_, ControlTag{ControlEvent::kResolver}.pack());
  if (!resolver) return std::unexpected(std::move(resolver.error()));
  resolver_ = std::move(*resolver);
  health_.emplace(kernel_, loop_, ControlTag{ControlEvent::kHealth}.pack());

  const auto watch = [this](int fd, ControlEvent kind) {
    return loop_.add(fd, EPOLLIN, ControlTag{kind}.pack());
  };
  for (const auto& added :
       {watch(signals_.fd(), ControlEvent::kSignals), watch(pool_->fd(), ControlEvent::kWorkers)}) {
    if (!added) return std::unexpected(added.error().describe());
  }
  if (options_.watch && options_.reload && !options_.config_file.empty()) {
    auto file = service::FileWatch::open(options_.config_file);
    if (file && watch(file->fd(), ControlEvent::kConfigFile)) {
      watch_ = std::move(*file);
    } else {
      telemetry::log_warn("cannot watch {}; send SIGHUP after a change", options_.config_file);
    }
  }
  auto installed = install(std::move(plan), loop_.now(), "start");
  if (!installed) return installed;
  for_people_ = std::make_unique<ForPeople>(*this);
  if (auto opened = for_people_->open(); !opened) return opened;
  if (auto changed = change_identity(); !changed) return changed;
  pool_->start();
  // Before anything of a stranger's is read. The workers' threads have less, and none of this.
  if (const auto confined = sandbox::confine_supervisor(sandbox::seccomp_mode_from_environment());
      !confined) {
    telemetry::log_warn("the supervisor is not confined: {}", confined.error().describe());
  }
  return {};
}

// What root alone can open is open; what the new user must open again is given to him.
std::expected<void, std::string> ControlThread::change_identity() {
  const auto identity = identity_for(options_.user);
  if (!identity) return std::unexpected(identity.error());
  if (*identity) {
    if (const auto written = write_pid_file(pending_->plan.pid_file); !written) return written;
    pending_->listeners.give_to((*identity)->uid, (*identity)->gid);
    if (pid_file_) pid_file_->give_to((*identity)->uid, (*identity)->gid);
    if (pending_->log) pending_->log->give_to((*identity)->uid, (*identity)->gid);
    sight_->give_to((*identity)->uid, (*identity)->gid);
    // Of a process that will take over from us: whom its socket obeys. No other thread runs yet.
    ::setenv(kOwnerVariable, std::to_string(::getuid()).c_str(), 0);
  }
  const std::string& read_again = options_.reload ? options_.config_file : std::string();
  return give_up_privileges(*identity, pending_->plan, read_again);
}

int ControlThread::run() {
  while (!pool_->all_ended()) turn();
  const int status = draining_ && !failed_ ? 0 : 1;
  sight_->end(status, loop_.now());
  if (draining_) announce_end(options_.output_style, draining_->by_signal);
  if (!draining_ && !failed_) telemetry::log_error("the workers have ended by themselves");
  return status;
}

Instant ControlThread::next_deadline() const {
  Instant deadline =
      std::min({counters_at_latest_, upgrade_end_, sight_->next_deadline(loop_.now())});
  if (pending_) {
    // Names that are known already would not wake us.
    deadline = std::min(deadline, resolver_->settled() ? Instant::min() : pending_->at_latest);
  }
  if (reloaded_) deadline = std::min(deadline, reloaded_->at_latest);
  if (draining_) deadline = std::min({deadline, draining_->end, draining_->next_report});
  if (watch_) deadline = std::min(deadline, watch_->check_at());
  if (resolver_) deadline = std::min(deadline, resolver_->next_deadline());
  if (health_) deadline = std::min(deadline, health_->next_deadline());
  return deadline;
}

void ControlThread::turn() {
  const auto count = loop_.wait(events_, loop_.now(), next_deadline());
  const Instant now = loop_.now();
  for (std::size_t i = 0; i < count.value_or(0); ++i) dispatch(events_[i], now);
  on_time(now);
  sight_->turn(now);
}

void ControlThread::dispatch(const epoll_event& event, Instant now) {
  const ControlTag tag = ControlTag::unpack(event.data.u64);
  switch (tag.kind) {
    case ControlEvent::kSignals: on_signals(now); return;
    case ControlEvent::kWorkers: pool_->on_readable(); return;
    case ControlEvent::kConfigFile:
      if (watch_) watch_->on_readable(now);
      return;
    case ControlEvent::kUpgrade: on_upgrade(now); return;
    case ControlEvent::kResolver:
      if (resolver_) resolver_->on_event(static_cast<int>(tag.index), event.events, now);
      return;
    case ControlEvent::kHealth:
      if (health_) health_->on_event(tag.index, event.events, now);
      return;
    case ControlEvent::kControl: sight_->note_control(); return;
  }
}

void ControlThread::on_time(Instant now) {
  if (resolver_ && now >= resolver_->next_deadline()) resolver_->on_time(now);
  if (health_ && now >= health_->next_deadline()) health_->on_time(now);
  if (watch_ && now >= watch_->check_at() && watch_->changed(now)) {
    (void)reload(now, "file");
  }
  if (pending_ && (now >= pending_->at_latest || resolver_->settled())) finish_install();
  if (reloaded_ && (pool_->all_answered() || now >= reloaded_->at_latest)) tell_reloaded();
  if (counters_at_latest_ != kNever && (pool_->all_answered() || now >= counters_at_latest_)) {
    print_counters();
  }
  if (upgrade_ && now >= upgrade_end_) upgrade_failed();
  if (draining_ && now >= draining_->end) {
    draining_->end = kNever;
    pool_->stop();
  }
  if (draining_ && now >= draining_->next_report) report_draining(now);
}

}  // namespace sluice::forward
