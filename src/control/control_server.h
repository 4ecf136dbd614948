// The control socket of a run (run_address.h): listens, takes requests in lines of JSON, and has
// them carried out. It answers to no one but its owner, the user who started us, and root, whoever
// we have become since. What clients do
// costs a bounded memory and a bounded share of a turn, and nobody waits for one of them. Has a
// loop of its own, which stands for all its descriptors in that of whoever runs it. Not
// thread-safe.
#pragma once

#include <sys/types.h>

#include <array>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "base/time.h"
#include "control/answer.h"
#include "control/client.h"
#include "control/request.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"
#include "telemetry/events/event_stream.h"

namespace sluice::control {

// What is controlled.
class Controlled {
 public:
  // Any request but kSubscribe. The answer ends in exactly one done() or fail().
  virtual void on_request(const Request& request, Answer& answer) = 0;
  // From here on somebody wants to hear of events, or nobody does.
  virtual void on_listeners(bool any) = 0;
  // Somebody who answers questions has come, or gone.
  virtual void on_answerer(bool /*came*/) {}

 protected:
  ~Controlled() = default;
};

class ControlServer {
 public:
  static constexpr std::size_t kClientsMax = 8;
  // Requests that are carried out in a turn, of all clients.
  static constexpr std::size_t kRequestsEach = 32;

  // Listens under the run's name. The owner is who we are now, or who is named.
  [[nodiscard]] static std::expected<std::unique_ptr<ControlServer>, sys::SysError> open(
      sys::Kernel& kernel, const std::string& run, std::optional<uid_t> owner = std::nullopt);
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer();

  // Before the first turn. Not owned; `events` may be null: then there is nothing to subscribe to.
  void serve(Controlled& controlled, telemetry::EventStream* events) {
    controlled_ = &controlled;
    events_ = events;
  }

  // Readable when turn() has something to do.
  [[nodiscard]] int fd() const { return loop_.fd(); }
  [[nodiscard]] Instant next_wakeup(Instant now) const;
  // Does what is to be done, without waiting. Whenever fd() is readable, at the time above, and
  // once after events were told.
  void turn(Instant now);
  [[nodiscard]] bool has_subscribers() const { return subscribers_ > 0; }

 private:
  ControlServer(sys::Kernel& kernel, sys::EventLoop loop, sys::KernelFd listener, uid_t owner)
      : kernel_(kernel), loop_(std::move(loop)), listener_(std::move(listener)), owner_(owner) {}

  // False: it is gone.
  [[nodiscard]] bool hear(Client& client, std::uint32_t events, Instant now);
  void accept(Instant now);
  void pause(Instant now);
  [[nodiscard]] bool is_ours(const sys::KernelFd& socket) const;
  [[nodiscard]] std::size_t place_for_another(Instant now);
  void serve_lines(Client& client);
  void carry_out(Client& client, const Request& request);
  void subscribe(Client& client, const Request& request, Answer& answer);
  void watch(std::size_t place);
  void drop(std::size_t place);

  sys::Kernel& kernel_;
  sys::EventLoop loop_;
  sys::KernelFd listener_;
  uid_t owner_;
  Controlled* controlled_ = nullptr;
  telemetry::EventStream* events_ = nullptr;
  std::array<std::unique_ptr<Client>, kClientsMax> clients_;
  std::size_t first_ = 0;  // Who is served first in the next turn.
  std::size_t left_ = 0;   // Requests that this turn may carry out yet.
  std::size_t subscribers_ = 0;
  Instant resume_at_ = kNever;  // When to accept again.
};

}  // namespace sluice::control
