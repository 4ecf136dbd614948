#include "box/init/watch.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/overloaded.h"
#include "box/init/step.h"

namespace sluice::box {
namespace {

// A process that was killed is gone in microseconds, but for one that waits for a share's answer.
constexpr std::uint64_t kKillNanoseconds = 5'000'000'000;
constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 1'000'000};

UniqueFd watch_children() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  return UniqueFd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

}  // namespace

Watch::Watch(RunningCommand& command, HostLine& host, const ConsolePorts& ports)
    : command_(&command),
      host_(&host),
      ports_(&ports),
      children_(watch_children()),
      input_(ports.stream.get(), command.input.get()),
      output_(command.output.get(), ports.stream.get()) {
  if (command.error.valid()) error_.emplace(command.error.get(), ports.error.get());
}

Exited Watch::run() {
  // What came along with the setup was read with it, and is nothing to wait for: the end of an
  // input that has no byte, above all.
  hear_host();
  turn_relays();
  while (!status_ && !host_->lost() && !power_off_) {
    wait_for_something();
    hear_parent();
    reap();
    // Before the relays: an input whose end is told behind its last byte has nothing to wait for.
    hear_host();
    turn_relays();
  }
  kill_everyone();
  command_->terminal.reset();  // The master then ends behind what was written.
  const auto drained = [this] { return output_.done() && (!error_ || error_->done()); };
  while (turn_relays(), !drained() && !host_->lost() && !power_off_) {
    wait_for_something();
    hear_parent();
    reap();
    hear_host();
  }
  tell_ends();
  return {status_.value_or(kExitSetupFailed), output_.moved(), error_ ? error_->moved() : 0};
}

void Watch::wait_for_something() {
  std::array<pollfd, 8> items{};
  std::size_t count = 0;
  const auto want = [&](int fd, short events) {
    if (fd >= 0 && events != 0) items[count++] = {.fd = fd, .events = events, .revents = 0};
  };
  const auto when = [](bool wanted, int event) { return static_cast<short>(wanted ? event : 0); };
  want(children_.get(), POLLIN);
  want(host_->fd(), host_->events());
  want(command_->news.get(), POLLIN);
  // Only what somebody waits for: a port that hung up would be ready for ever.
  want(ports_->stream.get(), static_cast<short>(when(input_.wants_source(), POLLIN) |
                                                when(output_.wants_sink(), POLLOUT)));
  want(command_->input.get(), when(input_.wants_sink(), POLLOUT));
  want(command_->output.get(), when(output_.wants_source(), POLLIN));
  if (error_) {
    want(ports_->error.get(), when(error_->wants_sink(), POLLOUT));
    want(command_->error.get(), when(error_->wants_source(), POLLIN));
  }
  (void)::poll(items.data(), count, -1);
}

void Watch::turn_relays() {
  input_.turn();
  if (input_.done()) end_input();
  output_.turn();
  if (error_) error_->turn();
  if (output_.sink_is_gone()) close_output(kStreamPort);
  if (error_ && error_->sink_is_gone()) close_output(kErrorPort);
  tell_ends();
}

void Watch::hear_host() {
  host_->turn();
  while (const auto message = host_->take()) on_message(*message);
}

void Watch::on_message(const HostMessage& message) {
  std::visit(Overloaded{
                 // Only the first message is one.
                 [](const Setup&) {},
                 [this](const InputEnd& end) { input_.end_source_at(end.bytes); },
                 [this](const OutputClosed& closed) { close_output(closed.port); },
                 [this](const SendSignal& signal) { signal_command(signal.number); },
                 [this](const Window& window) {
                   if (command_->terminal.valid()) set_window(command_->input.get(), window);
                 },
                 [this](const PowerOff&) { power_off_ = true; },
             },
             message);
}

void Watch::signal_command(int number) const {
  if (!status_) ::kill(-command_->pid, number);
}

// The end of a pipe is its end; of a terminal, that it was hung up.
void Watch::end_input() {
  if (!command_->input.valid()) return;
  if (command_->terminal.valid()) signal_command(SIGHUP);
  command_->input.reset();
}

// Who writes there gets SIGPIPE, as in a pipe that nobody reads.
void Watch::close_output(std::uint8_t port) {
  if (port == kStreamPort) {
    output_.drop_sink();
    if (!command_->terminal.valid()) {
      output_.end_source_at(0);
      command_->output.reset();
    }
  } else if (error_) {
    error_->drop_sink();
    error_->end_source_at(0);
    command_->error.reset();
  }
}

void Watch::tell_ends() {
  if (output_.done() && !output_end_told_) {
    output_end_told_ = true;
    host_->say(OutputEnd{kStreamPort, output_.moved()});
  }
  if (error_ && error_->done() && !error_end_told_) {
    error_end_told_ = true;
    host_->say(OutputEnd{kErrorPort, error_->moved()});
  }
}

void Watch::hear_parent() {
  while (command_->news.valid()) {
    CommandNews news;
    const ssize_t got = ::read(command_->news.get(), &news, sizeof news);
    if (got < 0) return;
    if (got != static_cast<ssize_t>(sizeof news)) {
      command_->news.reset();  // It is gone, and what it knew is told or is the command's own end.
      return;
    }
    switch (news.kind) {
      case CommandNews::Kind::kStarted: break;
      case CommandNews::Kind::kStopped:
        host_->say(Stopped{static_cast<std::uint8_t>(news.number)});
        break;
      case CommandNews::Kind::kEnded: note_end(news.number); break;
    }
  }
}

void Watch::note_end(int status) {
  const int number = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  status_ = static_cast<std::uint8_t>(number);
}

// Every child: those that their parents left behind, the command's parent, and, where somebody has
// killed that, the command.
void Watch::reap() {
  signalfd_siginfo info{};
  while (::read(children_.get(), &info, sizeof info) > 0) {
  }
  int status = 0;
  pid_t pid = 0;
  while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid == command_->pid && !status_) note_end(status);
  }
}

void Watch::kill_everyone() {
  ::kill(-1, SIGKILL);
  const std::uint64_t until = nanoseconds_since_boot() + kKillNanoseconds;
  while (true) {
    reap();
    if (::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD) return;
    if (nanoseconds_since_boot() > until) break;
    ::nanosleep(&kPause, nullptr);
  }
  // One that cannot be killed keeps its streams open.
  output_.end_source_when_empty();
  if (error_) error_->end_source_when_empty();
}

}  // namespace sluice::box
