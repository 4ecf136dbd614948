// What people see of a forwarder and ask of it: its event stream, with the file of --events, and
// its control socket. In the supervisor's thread. While there is neither file nor subscriber the
// workers tell nothing.
#pragma once

#include <sys/types.h>

#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/time.h"
#include "control/control_server.h"
#include "forward/sight/forward_control.h"
#include "forward/worker/worker.h"
#include "sys/kernel.h"
#include "telemetry/events/event_stream.h"

namespace sluice::forward {

// Set over an upgrade where the user who started the first process is another than runs it: the
// number of the one whom the control socket obeys.
inline constexpr const char* kOwnerVariable = "SLUICE_FORWARD_OWNER";

class Sight {
 public:
  // Opens the file, unless `events_file` is empty, and the socket, without which it goes on: that
  // is told. As who we are now, before another user's rights are taken; `owner` is another one only
  // of a process that has taken over. The error is one line.
  [[nodiscard]] static std::expected<std::unique_ptr<Sight>, std::string> open(
      sys::Kernel& kernel, const std::string& events_file, std::optional<uid_t> owner);

  // References are not owned. Before the workers run. `program`: "sluice forward".
  void serve(Forwarder& forwarder, std::span<Worker* const> workers, std::string program,
             Instant now);
  // The file, which this user may have to open anew.
  void give_to(uid_t uid, gid_t gid) const { events_.give_file_to(uid, gid); }

  // The socket's; -1: there is none. When it is readable, note it.
  [[nodiscard]] int fd() const { return control_ ? control_->fd() : -1; }
  void note_control() { called_ = true; }
  [[nodiscard]] Instant next_deadline(Instant now) const;
  // Once a turn of the supervisor: tells what workers have told, and serves the socket.
  void turn(Instant now);

  // The file was moved away, maybe.
  void reopen_file();
  void on_start();
  void on_reload(const telemetry::ReloadEvent& event);
  // The workers have ended: the last word.
  void end(int status, Instant now);

  [[nodiscard]] const std::string& run() const { return events_.run(); }

 private:
  Sight(std::string run, std::string events_file)
      : events_(std::move(run)), events_file_(std::move(events_file)) {}
  void tell_sessions(Instant now);

  telemetry::EventStream events_;
  std::string events_file_;
  std::string program_;
  std::span<Worker* const> workers_;
  std::unique_ptr<ForwardControl> answers_;
  std::unique_ptr<control::ControlServer> control_;  // Null: nobody can control us.
  bool called_ = false;
};

}  // namespace sluice::forward
