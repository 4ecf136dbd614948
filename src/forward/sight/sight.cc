#include "forward/sight/sight.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "forward/sight/session_flow.h"
#include "sys/random.h"
#include "sys/sys_error.h"
#include "telemetry/events/run_id.h"
#include "telemetry/log.h"

namespace sluice::forward {
namespace {

[[nodiscard]] std::string cannot_write(const std::string& path, int error) {
  const char* const hint = error == ENXIO ? "; nobody reads this pipe: start its reader first" : "";
  return fmt::format("--events: cannot write '{}': {}{}", path, sys::errno_text(error), hint);
}

[[nodiscard]] auto wall_now() { return std::chrono::system_clock::now(); }

}  // namespace

std::expected<std::unique_ptr<Sight>, std::string> Sight::open(sys::Kernel& kernel,
                                                               const std::string& events_file,
                                                               std::optional<uid_t> owner) {
  const auto chance = sys::draw_random<std::uint64_t>();
  if (!chance) return std::unexpected(fmt::format("getrandom: {}", sys::errno_text(errno)));
  std::unique_ptr<Sight> sight(new Sight(telemetry::run_id_of(*chance), events_file));
  if (!events_file.empty()) {
    auto file = telemetry::EventFile::open(events_file);
    if (!file) return std::unexpected(cannot_write(events_file, file.error().error));
    sight->events_.write_to(std::move(*file));
  }
  auto control = control::ControlServer::open(kernel, sight->run(), owner);
  if (control) {
    telemetry::log_info("run {}: 'sluice ctl {} status' shows how it stands", sight->run(),
                        sight->run());
    sight->control_ = std::move(*control);
  } else {
    telemetry::log_warn("no control socket, 'sluice ctl' cannot find this forwarder: {}",
                        control.error().describe());
  }
  return sight;
}

void Sight::serve(Forwarder& forwarder, std::span<Worker* const> workers, std::string program,
                  Instant now) {
  program_ = std::move(program);
  workers_ = workers;
  answers_ = std::make_unique<ForwardControl>(
      forwarder, ForwardControl::Setting{workers_, events_, program_, now});
  if (control_) control_->serve(*answers_, &events_);
  answers_->on_listeners(false);  // The file listens, if there is one.
}

Instant Sight::next_deadline(Instant now) const {
  return std::min(events_.next_flush(), control_ ? control_->next_wakeup(now) : kNever);
}

void Sight::turn(Instant now) {
  tell_sessions(now);
  if (control_ && (std::exchange(called_, false) || control_->has_subscribers() ||
                   now >= control_->next_wakeup(now))) {
    control_->turn(now);
  }
  events_.flush_if_due(now);
}

// A worker may have more than the file has room for, so that it is written between them.
void Sight::tell_sessions(Instant now) {
  for (Worker* const worker : workers_) {
    const SessionOutbox::Content content = worker->outbox().take();
    for (const SessionRecord& session : content.records) {
      const SessionFlow flow(session, SessionFlow::As::kEvent);
      events_.add_flow(session.time, flow.record());
      events_.flush_if_due(now);
    }
    for (std::size_t reason = 0; reason < kRefusedBeforehand.size(); ++reason) {
      if (content.left_out[reason] == 0) continue;
      events_.leave_out_refusals(end_of(kRefusedBeforehand[reason], 0, false).verdict,
                                 content.left_out[reason]);
    }
    if (content.lost > 0 && events_.wanted()) events_.lose(content.lost);
  }
}

void Sight::reopen_file() {
  if (events_file_.empty()) return;
  if (const auto reopened = events_.reopen_file(events_file_); !reopened) {
    telemetry::log_warn("{}; the file that is open goes on",
                        cannot_write(events_file_, reopened.error().error));
  }
}

void Sight::on_start() {
  events_.add(wall_now(), telemetry::StartEvent{.program = program_, .version = SLUICE_VERSION});
}

void Sight::on_reload(const telemetry::ReloadEvent& event) { events_.add(wall_now(), event); }

void Sight::end(int status, Instant now) {
  tell_sessions(now);
  events_.end(wall_now(), status);
  if (control_) control_->turn(now);  // Subscribers have the end, too.
}

}  // namespace sluice::forward
