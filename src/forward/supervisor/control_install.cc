// How a plan comes into force: at the start, and over a reload.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "forward/supervisor/announce.h"
#include "forward/supervisor/control_thread.h"
#include "service/readiness.h"

namespace sluice::forward {

std::expected<std::shared_ptr<LogFile>, std::string> ControlThread::open_log(const Plan& plan) {
  if (plan.log_file.empty()) return nullptr;
  auto log = LogFile::open(plan.log_file, plan.log_format);
  if (log) return std::move(*log);
  const bool denied = serving_ && log.error().error == EACCES;
  const std::string why = fmt::format(
      "cannot write the log file {}: {}{}", plan.log_file, sys::errno_text(log.error().error),
      denied ? "; it must be writable for the user that --user names" : "");
  if (is_strict()) return std::unexpected(why);
  telemetry::log_warn("{}; sessions are not logged", why);
  return nullptr;
}

std::expected<void, std::string> ControlThread::write_pid_file(const std::string& path) {
  if (pid_file_ && pid_file_->path() == path) return {};
  pid_file_.reset();
  if (path.empty()) return {};
  auto file = service::PidFile::write(path);
  if (file) {
    pid_file_ = std::move(*file);
    return {};
  }
  const std::string why =
      fmt::format("cannot write the pid file {}: {}", path, sys::errno_text(file.error().error));
  if (is_strict()) return std::unexpected(why);
  telemetry::log_warn("{}", why);
  return {};
}

// A rule that is as it was keeps its targets' health, its counters and its limits' state; one that
// has changed keeps its counters, by its name.
std::vector<std::shared_ptr<LiveRule>> ControlThread::live_rules(const Plan& plan, Instant now) {
  const bool same_access = plan.access == plan_.access;
  std::vector<std::shared_ptr<LiveRule>> old = rules_;
  const auto take = [&old](const auto& fits) -> std::shared_ptr<LiveRule> {
    const auto found = std::ranges::find_if(
        old, [&](const std::shared_ptr<LiveRule>& rule) { return rule && fits(rule->plan); });
    return found == old.end() ? nullptr : std::exchange(*found, nullptr);
  };
  std::vector<std::shared_ptr<LiveRule>> rules(plan.rules.size());
  for (std::size_t i = 0; same_access && i < rules.size(); ++i) {
    rules[i] = take([&](const Rule& rule) { return rule.same_as(plan.rules[i]); });
  }
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (rules[i]) continue;
    const auto before = take([&](const Rule& rule) { return rule.name == plan.rules[i].name; });
    rules[i] = std::make_shared<LiveRule>(
        plan.rules[i], plan.access, before ? before->counters : std::make_shared<RuleCounters>(),
        serving_ ? generation_ + 1 : generation_);
    resolver_->watch(rules[i], now);
    health_->watch(rules[i], now);
  }
  return rules;
}

std::expected<void, std::string> ControlThread::install(Plan plan, Instant now,
                                                        std::string_view who) {
  auto listeners = listeners_->prepare(
      plan, options_.skip_bad_listeners ? BadListeners::kSkip : BadListeners::kRefuse);
  if (!listeners) return std::unexpected(std::move(listeners.error()));
  auto log = open_log(plan);
  if (!log) return std::unexpected(std::move(log.error()));
  for (const std::string& error : listeners->errors()) telemetry::log_error("{}", error);
  for (const std::string& warning : listeners->warnings()) telemetry::log_warn("{}", warning);
  auto rules = live_rules(plan, now);
  pending_.emplace(Pending{.plan = std::move(plan),
                           .listeners = std::move(*listeners),
                           .rules = std::move(rules),
                           .log = std::move(*log),
                           .at_latest = now + kNamesPatience,
                           .by = std::string(who)});
  return {};
}

void ControlThread::warn_of_fixed_settings(const Plan& plan) const {
  if (plan.workers != plan_.workers) {
    telemetry::log_warn("the number of workers stays {} until a restart or an upgrade",
                        pool_->size());
  }
  if (plan.relay != plan_.relay) {
    telemetry::log_warn("the settings of the relay stay as they are until a restart or an upgrade");
  }
}

std::unexpected<std::string> ControlThread::refuse_reload(std::string why, std::string_view who) {
  log_error_lines(why);
  announce("reload refused: the old rules go on");
  service::notify_ready(summary_of(plan_, *listeners_, pool_->size()));
  sight_->on_reload(
      {.by = who, .error = why, .rules = plan_.rules.size(), .generation = generation_});
  return std::unexpected(std::move(why));
}

std::expected<void, std::string> ControlThread::reload(Instant now, std::string_view who) {
  if (draining_) {
    announce("reload refused: this process is about to end");
    return std::unexpected("this process is about to end");
  }
  // One after the other: what a reload is compared with must be in force.
  if (pending_) finish_install();
  if (reloaded_) tell_reloaded();
  if (failed_) return std::unexpected("this process could not start");
  service::notify_reloading(now);
  if (watch_) watch_->accept_content();
  sight_->reopen_file();
  // Rules of the command line stay; the log file is opened anew, as after a rotation.
  std::expected<Plan, std::string> plan = plan_;
  if (options_.reload) plan = options_.reload();
  if (!plan) return refuse_reload(std::move(plan.error()), who);
  warn_of_fixed_settings(*plan);
  auto installed = install(std::move(*plan), now, who);
  if (!installed) return refuse_reload(std::move(installed.error()), who);
  return {};
}

void ControlThread::finish_install() {
  Pending pending = std::move(*pending_);
  pending_.reset();
  plan_ = std::move(pending.plan);
  // Before any listener is served: what fails here must not have touched a connection.
  if (!serving_ && !finish_start()) {
    failed_ = true;
    pool_->stop();
    return;
  }
  const telemetry::ReloadEvent reloaded{.rules = plan_.rules.size(),
                                        .opened = pending.listeners.opened(),
                                        .closed = pending.listeners.closed(),
                                        .generation = generation_ + 1};
  pool_->apply(listeners_->commit(std::move(pending.listeners), pending.rules), pending.log);
  rules_ = std::move(pending.rules);
  if (serving_) {
    if (const auto written = write_pid_file(plan_.pid_file); !written) {
      telemetry::log_warn("{}", written.error());
    }
    ++generation_;
    reloaded_ = Reloaded{std::move(pending.by), reloaded, loop_.now() + kWorkersPatience};
    return;
  }
  announce_start(options_, plan_, *listeners_, pool_->size());
  service::notify_ready(summary_of(plan_, *listeners_, pool_->size()));
  if (detachment_) detachment_->detached();
  serving_ = true;
  sight_->on_start();
}

// When the workers have done it: what was closed is closed now.
void ControlThread::tell_reloaded() {
  announce("reloaded: {}, {}, {} closed", counted(plan_.rules.size(), "rule"),
           counted(reloaded_->event.opened, "new listener"), reloaded_->event.closed);
  sight_->on_reload(reloaded_->told());
  reloaded_.reset();
  service::notify_ready(summary_of(plan_, *listeners_, pool_->size()));
}

bool ControlThread::finish_start() {
  if (const auto written = write_pid_file(plan_.pid_file); !written) {
    telemetry::log_error("{}", written.error());
    return false;
  }
  inherited_.close_unused();
  inherited_.tell_ready();
  return true;
}

}  // namespace sluice::forward
