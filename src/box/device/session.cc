#include "box/device/session.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/overloaded.h"

namespace sluice::box {
namespace {

// Looks at the control port in a row before others of the thread have their turn.
constexpr int kRounds = 8;
constexpr int kStatusOfFailure = 125;

}  // namespace

std::expected<std::unique_ptr<Session>, sys::SetupError> Session::create(DeviceThread& thread,
                                                                         ConsoleDevice& console,
                                                                         SessionPlan plan) {
  const bool with_terminal = plan.terminal;
  std::unique_ptr<Session> session(new Session(thread, console, std::move(plan)));
  if (!session->news_.valid()) return std::unexpected(sys::SetupError{"eventfd", errno, ""});
  if (with_terminal) {
    auto terminal = Terminal::open(session->plan_.input);
    if (!terminal) return std::unexpected(terminal.error());
    session->terminal_.emplace(std::move(*terminal));
  }
  console.set_user(*session);
  for (std::size_t port = 0; port < kSessionPorts.size(); ++port) console.set_host_open(port, true);
  return session;
}

Session::Session(DeviceThread& thread, ConsoleDevice& console, SessionPlan plan)
    : thread_(thread),
      console_(console),
      plan_(std::move(plan)),
      news_(sys::open_event_fd()),
      output_({thread, console, kStreamPort},
              StreamEnd::open(thread.kernel(), plan_.output, StreamWay::kOutput),
              [this] { on_relay(); }),
      error_({thread, console, kErrorPort},
             StreamEnd::open(thread.kernel(), plan_.error, StreamWay::kOutput),
             [this] { on_relay(); }),
      input_({thread, console, kStreamPort},
             StreamEnd::open(thread.kernel(), plan_.input, StreamWay::kInput),
             [this] { on_relay(); }) {}

std::vector<Stage> Session::take_stages() {
  const std::lock_guard guard(lock_);
  return std::exchange(stages_, {});
}

bool Session::started() {
  const std::lock_guard guard(lock_);
  return started_;
}

std::vector<sys::SetupError> Session::take_warnings() {
  const std::lock_guard guard(lock_);
  return std::exchange(warnings_, {});
}

std::optional<int> Session::take_stop() {
  const std::lock_guard guard(lock_);
  return std::exchange(stop_, std::nullopt);
}

std::optional<int> Session::exit_status() {
  const std::lock_guard guard(lock_);
  return status_;
}

std::optional<SessionFailure> Session::failure() {
  const std::lock_guard guard(lock_);
  return failure_;
}

void Session::signal(int number) {
  thread_.post([this, number] { send(SendSignal{static_cast<std::uint8_t>(number)}); });
}

void Session::window_changed() {
  if (!terminal_) return;
  thread_.post([this] {
    if (const auto window = window_of(plan_.input)) send(Window{window->rows, window->columns});
  });
}

void Session::suspend() {
  thread_.ask([this] {
    if (terminal_) terminal_->give_back();
  });
}

void Session::resume() {
  thread_.ask([this] {
    if (terminal_ && started()) terminal_->take();
    input_.resume();
  });
  window_changed();
}

void Session::power_off() {
  thread_.post([this] { send(PowerOff{}); });
}

void Session::on_port(std::size_t port) {
  switch (port) {
    case kControlPort:
      send_waiting();
      hear();
      break;
    case kStreamPort:
      output_.pump();
      input_.pump();
      break;
    case kErrorPort: error_.pump(); break;
    default: break;
  }
}

// Ports are queues of their own: with how many bytes a stream ended is told, since the message may
// come before the last of them.
void Session::on_relay() {
  const std::array<const OutputRelay*, 2> outputs = {&output_, &error_};
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i]->closed() || std::exchange(close_sent_[i], true)) continue;
    send(OutputClosed{static_cast<std::uint8_t>(kStreamPort + i)});
  }
  if (input_.ended() && !std::exchange(input_end_sent_, true)) {
    send(InputEnd{input_.delivered()});
  }
  check_end();
}

void Session::send(const HostMessage& message) {
  // Nothing overtakes the setup.
  if (!setup_sent_) {
    waiting_.insert(waiting_.begin(), plan_.setup.begin(), plan_.setup.end());
    setup_sent_ = true;
  }
  if (waiting_.size() > plan_.setup.size() + kWaitingMax) return;
  const std::vector<std::uint8_t> bytes = emit(message);
  waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
  send_waiting();
}

void Session::send_waiting() {
  if (!console_.is_open(kControlPort)) return;
  if (!std::exchange(setup_sent_, true)) waiting_ = plan_.setup;
  while (sent_ < waiting_.size()) {
    const std::span<const MutableBytes> room = console_.room(kControlPort);
    if (room.empty()) return;
    const std::size_t before = sent_;
    for (const MutableBytes piece : room) {
      const ByteView rest = ByteView(waiting_).subspan(sent_);
      const ByteView part = rest.first(std::min(rest.size(), piece.size()));
      std::ranges::copy(part, piece.begin());
      sent_ += part.size();
    }
    console_.fill(kControlPort, sent_ - before);
  }
  waiting_.clear();
  sent_ = 0;
}

void Session::hear() {
  for (int round = 0; round < kRounds; ++round) {
    const std::span<const ByteView> pieces = console_.waiting(kControlPort);
    if (pieces.empty()) return;
    std::size_t bytes = 0;
    for (const ByteView piece : pieces) {
      reader_.push(piece);
      bytes += piece.size();
    }
    console_.take(kControlPort, bytes);
    while (true) {
      const auto message = reader_.next();
      if (!message) {
        fail({kStatusOfFailure, {"the guest's first process: " + message.error(), 0, ""}});
        break;
      }
      if (!*message) break;
      on_message(**message);
    }
  }
  thread_.post([this] { hear(); });
}

void Session::on_message(const GuestMessage& message) {
  std::visit(
      Overloaded{[this](const Stage& stage) {
                   if (told_stages_ == kStagesMax) return;
                   ++told_stages_;
                   note([&] { stages_.push_back(stage); });
                 },
                 [this](const Warned& warned) {
                   if (told_warnings_ == kStagesMax) return;
                   ++told_warnings_;
                   note([&] { warnings_.push_back({warned.step, warned.error, warned.hint}); });
                 },
                 [this](const Started&) { on_started(); },
                 [this](const Stopped& stopped) { note([&] { stop_ = stopped.signal; }); },
                 [this](const OutputEnd& end) {
                   // Standard error is ours, too.
                   if (end.port == kStreamPort) output_.end_after(end.bytes);
                 },
                 [this](const Failed& failed) {
                   fail({failed.status, {failed.step, failed.error, failed.hint}});
                 },
                 [this](const Exited& exited) {
                   if (!exited_) exited_ = exited;
                   check_end();
                 }},
      message);
}

// Until now keys were ours: who has typed Ctrl-C meant the boot.
void Session::on_started() {
  if (terminal_) terminal_->take();
  note([&] { started_ = true; });
}

// The first one is the cause.
void Session::fail(SessionFailure failure) {
  note([&] {
    if (!failure_ && !status_) failure_ = std::move(failure);
  });
}

void Session::check_end() {
  if (!exited_ || output_.delivered() < exited_->stream_bytes ||
      error_.delivered() < exited_->error_bytes) {
    return;
  }
  if (auto lost = lost_output()) {
    // The command has not heard of it: what it wrote into was a pipe.
    const int status = exited_->status;
    return fail({status == 0 ? kStatusOfFailure : status, std::move(*lost)});
  }
  note([&] {
    if (!failure_ && !status_) status_ = exited_->status;
  });
}

// Of a reader who has gone the command was told.
std::optional<sys::SetupError> Session::lost_output() const {
  const auto lost = [](std::string_view name, const OutputRelay& output) {
    return sys::SetupError{fmt::format("write to {}", name), output.error()->error,
                           "what the command wrote there is not complete"};
  };
  if (output_.error()) return lost("standard output", output_);
  if (error_.error()) return lost("standard error", error_);
  return std::nullopt;
}

void Session::note(const std::function<void()>& change) {
  {
    const std::lock_guard guard(lock_);
    change();
  }
  sys::ring(thread_.kernel(), news_.get());
}

}  // namespace sluice::box
