// What the control socket of a forwarder does (docs/control_socket.md): tells how things stand and
// which sessions live, ends one, and has the configuration read again. In the supervisor's thread,
// between its turns. What only a worker knows it is asked for, and is waited for an instant; one
// that does not answer in time is not asked again until it has, so that nobody holds us up.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "control/control_server.h"
#include "forward/plan.h"
#include "forward/session/live_rule.h"
#include "forward/worker/worker.h"
#include "telemetry/events/event_stream.h"

namespace sluice::forward {

// Of a configuration that was read again.
struct ReloadDone {
  std::size_t rules = 0;
  std::size_t opened = 0;  // Listeners.
  std::size_t closed = 0;
  std::uint64_t generation = 1;  // Of the plan in force, or about to be.
  bool in_force = false;         // Else names of new targets are looked up yet, for a moment.
};

// The forwarder, as its supervisor sees it.
class Forwarder {
 public:
  struct Status {
    std::string_view state;  // "starting", "serving", "draining"
    const std::vector<std::shared_ptr<LiveRule>>& rules;
    std::size_t listeners = 0;
    std::uint64_t generation = 1;
  };
  [[nodiscard]] virtual Status status() const = 0;
  // As SIGHUP does. The error is one line for each mistake; nothing has changed then.
  [[nodiscard]] virtual std::expected<ReloadDone, std::string> reload_by(std::string_view who) = 0;

 protected:
  ~Forwarder() = default;
};

class ForwardControl final : public control::Controlled {
 public:
  // A page of sessions, at most.
  static constexpr std::size_t kFlowsEach = 256;
  // For the workers, all of them together, in one request.
  static constexpr Duration kPatience = std::chrono::milliseconds(250);

  struct Setting {
    std::span<Worker* const> workers;
    telemetry::EventStream& events;
    std::string program;  // "sluice forward"
    Instant begun;
  };
  // References are not owned.
  ForwardControl(Forwarder& forwarder, Setting setting);

  void on_request(const control::Request& request, control::Answer& answer) override;
  void on_listeners(bool any) override;

 private:
  void tell_status(control::Answer& answer);
  void tell_flows(const control::Request& request, control::Answer& answer);
  void tell_rules(const control::Request& request, control::Answer& answer);
  void kill(const control::Request& request, control::Answer& answer);
  void reload(const control::Request& request, control::Answer& answer);
  // Whether a worker owes an answer.
  [[nodiscard]] bool is_stuck(std::size_t worker);
  // What it answers until then; nothing: it does not.
  template <typename Reply>
  [[nodiscard]] auto answer_of(std::size_t worker, const std::shared_ptr<Reply>& reply,
                               Instant until);

  Forwarder& forwarder_;
  Setting setting_;
  // Of workers that owe an answer that was no longer waited for: whether it has come.
  std::vector<std::function<bool()>> owed_;
};

}  // namespace sluice::forward
