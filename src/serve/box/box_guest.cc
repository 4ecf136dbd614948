#include "serve/box/box_guest.h"

#include <fmt/core.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "box/guest/printable.h"
#include "netns/namespaces.h"
#include "sys/sys_error.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

// Places of descriptors(); those of file servers follow.
constexpr std::size_t kNews = 0;
constexpr std::size_t kMachine = 1;
constexpr std::size_t kBootTimer = 2;
constexpr std::size_t kFiles = 3;

// From the first instruction to the command's. Machines that are emulated, and busy, have been seen
// to take half of it.
constexpr int kBootSeconds = 300;
constexpr int kTerminationsMax = 3;
constexpr int kSignalStatus = 128;

[[nodiscard]] std::expected<UniqueFd, sys::SetupError> open_boot_timer() {
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  const itimerspec after{.it_interval = {}, .it_value = {.tv_sec = kBootSeconds, .tv_nsec = 0}};
  if (!timer.valid() || ::timerfd_settime(timer.get(), 0, &after, nullptr) != 0) {
    return std::unexpected(sys::SetupError{"watch the time of the boot", errno, ""});
  }
  return timer;
}

// What the machine's kernel has printed last, as a part of a message: the line that says why it
// panicked, where it did, as what follows that is for its developers.
[[nodiscard]] std::string last_lines(const std::string& console) {
  constexpr std::size_t kMost = 600;
  if (const std::size_t panic = console.rfind("Kernel panic"); panic != std::string::npos) {
    return console.substr(panic, std::min(console.find_first_of("\r\n", panic) - panic, kMost));
  }
  const std::size_t end = console.find_last_not_of("\r\n ");
  if (end == std::string::npos) return "";
  std::string words = console.substr(0, end + 1);
  if (words.size() > kMost) words = "…" + words.substr(words.size() - kMost);
  std::string line;
  for (const char c : words) {
    if (c == '\r') continue;
    if (c == '\n') {
      line += " | ";
    } else {
      line += c;
    }
  }
  return line;
}

// As a part of a message.
[[nodiscard]] std::string last_words(const std::string& console) {
  std::string words = last_lines(console);
  box::make_printable(words);
  return words;
}

// Those that are for the command. One that we were started to ignore is not: it would not have
// come to a command of this machine, and to be sent it is deadly.
[[nodiscard]] std::vector<int> signals_for_command() {
  std::vector<int> signals{SIGINT,  SIGQUIT,  SIGTERM, SIGHUP, SIGUSR2,
                           SIGALRM, SIGWINCH, SIGTSTP, SIGCONT};
  std::erase_if(signals, [](int signal) {
    struct sigaction action{};
    return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
  });
  return signals;
}

[[nodiscard]] bool asks_to_end(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}

}  // namespace

BoxGuest::BoxGuest(BoxPlan plan, MakeBoxParts make)
    : plan_(std::move(plan)), make_(std::move(make)), signals_(signals_for_command()) {}

std::expected<void, sys::SetupError> BoxGuest::begin(const GuestSetting& setting) {
  auto parts = make_(plan_, setting);
  if (!parts) return std::unexpected(parts.error());
  parts_ = std::move(*parts);
  return {};
}

std::expected<GuestEnds, sys::SetupError> BoxGuest::await(sys::Kernel&) {
  GuestEnds ends;
  ends.links = parts_->links();
  return ends;
}

std::expected<void, sys::SetupError> BoxGuest::start() {
  auto timer = open_boot_timer();
  if (!timer) return std::unexpected(timer.error());
  boot_timer_ = std::move(*timer);
  return parts_->start();
}

void BoxGuest::end_service() {
  if (parts_) parts_->stop();
}

std::vector<int> BoxGuest::descriptors() const {
  // What has told its end tells it again and again.
  const bool ended = exit_status_.has_value();
  std::vector<int> result{parts_->news_fd(), ended ? -1 : parts_->ended_fd(),
                          started_ || ended ? -1 : boot_timer_.get()};
  for (const int fd : parts_->file_servers()) result.push_back(ended ? -1 : fd);
  return result;
}

void BoxGuest::on_ready(std::size_t place) {
  if (place == kNews) on_news();
  if (place == kMachine) on_machine_end();
  if (place == kBootTimer) on_boot_timer();
  if (place >= kFiles) on_files_end();
}

void BoxGuest::end(int status, std::optional<sys::SetupError> failure) {
  if (exit_status_) return;
  exit_status_ = status;
  failure_ = std::move(failure);
  parts_->suspend();  // What is said from here on is ours, and so are the keys.
}

void BoxGuest::on_news() {
  parts_->clear_news();
  tell_stages();
  started_ = started_ || parts_->has_started();
  if (const auto status = parts_->status()) end(*status, parts_->failure());
  if (parts_->take_stop() && !exit_status_) stop_with_terminal();
}

void BoxGuest::tell_stages() {
  for (const BoxStage& stage : parts_->take_stages()) {
    telemetry::log_info("boot: {:.3f} s: {}", stage.seconds, stage.name);
  }
  for (const sys::SetupError& warning : parts_->take_warnings()) {
    telemetry::log_info("{}", warning.describe());
  }
}

// It may have told its status before.
void BoxGuest::on_machine_end() {
  on_news();
  if (exit_status_) return;
  const std::string words = last_words(parts_->console());
  end(netns::kExitSetupFailed,
      sys::SetupError{parts_->why_ended(), 0, words.empty() ? "" : "it said: " + words});
}

void BoxGuest::on_boot_timer() {
  if (started_) return;
  const std::string words = last_words(parts_->console());
  end(netns::kExitSetupFailed,
      sys::SetupError{fmt::format("the machine has not started the command in {} s", kBootSeconds),
                      0, words.empty() ? "" : "it said: " + words});
}

void BoxGuest::on_files_end() {
  on_news();
  end(netns::kExitSetupFailed, parts_->file_failure());
}

void BoxGuest::on_signal(const signalfd_siginfo& info) {
  if (exit_status_) return;  // There is no command any more.
  const int signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGWINCH) return parts_->window_changed();
  // Once the command has stopped we do, so that the shell sees one job; before there is one, at
  // once.
  if (signal == SIGTSTP && !started_) return stop_with_terminal();
  if (signal == SIGCONT) parts_->resume();
  // A program may take any number of interrupts, as they are keys; who sends the third SIGTERM
  // means it, and has a machine that does not answer.
  if (signal == SIGTERM) ++terminations_;
  if (asks_to_end(signal) && (!started_ || terminations_ >= kTerminationsMax)) {
    return end(kSignalStatus + signal);
  }
  parts_->signal(signal);
}

// The machine stops with us, as its processors are our threads.
void BoxGuest::stop_with_terminal() {
  parts_->suspend();
  (void)::kill(::getpid(), SIGSTOP);  // It goes on behind SIGCONT, which is told by itself.
}

}  // namespace sluice::serve
