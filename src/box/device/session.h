// The host's side of what a machine's command is to us: its standard streams, its signals, the
// window of its terminal, how it ended. Speaks to the guest's first process by the ports of the
// console (guest/control_message.h).
//
//   port 0  control messages, both ways
//   port 1  standard input, to the guest; standard output, from it
//   port 2  standard error, from the guest
//
// Works in the device thread. The calls of the first group are for the main thread, or whoever
// looks after the machine: an eventfd tells that there is news.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "box/device/console_device.h"
#include "box/device/device_thread.h"
#include "box/device/stream_relay.h"
#include "box/device/terminal.h"
#include "box/guest/control_message.h"
#include "sys/event_fd.h"
#include "sys/setup_error.h"

namespace sluice::box {

// The console's ports, by their numbers.
inline constexpr std::array<std::string_view, 3> kSessionPorts = {kControlPortName, kStreamPortName,
                                                                  kErrorPortName};

struct SessionPlan {
  // What the guest is told first: a whole message.
  std::vector<std::uint8_t> setup;
  // Ours, that stay open.
  int input = 0;
  int output = 1;
  int error = 2;
  // Input and output are a terminal, which is raw while the command has it.
  bool terminal = false;
};

struct SessionFailure {
  int status = 0;  // As env(1) and friends have it: 125, 126, 127.
  sys::SetupError error;
};

class Session final : private PortUser {
 public:
  // A guest may tell of so many stages of its start, and warn as often.
  static constexpr std::size_t kStagesMax = 64;

  // Before the thread starts, and while this process has one thread. What is given by reference
  // outlives the session; the thread works no more when it goes.
  [[nodiscard]] static std::expected<std::unique_ptr<Session>, sys::SetupError> create(
      DeviceThread& thread, ConsoleDevice& console, SessionPlan plan);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() = default;

  // Readable when an answer of the next six may be another one, until clear_news(), which comes
  // before they are asked.
  [[nodiscard]] int news_fd() const { return news_.get(); }
  void clear_news() { sys::drain(thread_.kernel(), news_.get()); }
  [[nodiscard]] std::vector<Stage> take_stages();
  [[nodiscard]] std::vector<sys::SetupError> take_warnings();
  [[nodiscard]] bool started();
  // The signal that the command stopped itself by, once for each time.
  [[nodiscard]] std::optional<int> take_stop();
  // As a shell has it; there once all that the command wrote was delivered.
  [[nodiscard]] std::optional<int> exit_status();
  // Why that will be none of the command's, or what it wrote is not all where it was to be.
  [[nodiscard]] std::optional<SessionFailure> failure();

  void signal(int number);
  // Asks our terminal how large it is.
  void window_changed();
  // The terminal as it was before the command had it, and the command's again: at its end, and
  // around a stop of our process. Each returns when it is so.
  void suspend();
  void resume();
  void power_off();

 private:
  // What waits beside the setup for the guest to read it; beyond, signals are lost.
  static constexpr std::size_t kWaitingMax = 65'536;
  Session(DeviceThread& thread, ConsoleDevice& console, SessionPlan plan);

  void on_port(std::size_t port) override;
  void on_relay();
  void send(const HostMessage& message);
  void send_waiting();
  void hear();
  void on_message(const GuestMessage& message);
  void on_started();
  void fail(SessionFailure failure);
  void check_end();
  [[nodiscard]] std::optional<sys::SetupError> lost_output() const;
  // Changes what others ask for, and tells them.
  void note(const std::function<void()>& change);

  DeviceThread& thread_;
  ConsoleDevice& console_;
  SessionPlan plan_;
  std::optional<Terminal> terminal_;
  UniqueFd news_;

  // The device thread's own.
  OutputRelay output_;
  OutputRelay error_;
  InputRelay input_;
  GuestMessageReader reader_;
  std::vector<std::uint8_t> waiting_;
  std::size_t sent_ = 0;  // Of these.
  bool setup_sent_ = false;
  bool input_end_sent_ = false;
  std::array<bool, 2> close_sent_{};
  std::optional<Exited> exited_;
  std::size_t told_stages_ = 0;
  std::size_t told_warnings_ = 0;

  std::mutex lock_;  // For what follows.
  std::vector<Stage> stages_;
  std::vector<sys::SetupError> warnings_;
  bool started_ = false;
  std::optional<int> stop_;
  std::optional<int> status_;
  std::optional<SessionFailure> failure_;
};

}  // namespace sluice::box
