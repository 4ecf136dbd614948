#include "serve/ask/ask_exec.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "sys/descriptors.h"
#include "sys/sys_error.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

[[noreturn]] void run_program(const std::string& command, const UniqueFd& socket,
                              const sys::SavedSignals& signals) {
  // What the terminal sends to the guest is not for it, and without us there are no questions.
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::dup2(socket.get(), STDIN_FILENO) < 0 || ::dup2(socket.get(), STDOUT_FILENO) < 0) {
    ::_exit(126);
  }
  sys::close_descriptors_but({});
  signals.restore();
  ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
  ::_exit(127);
}

}  // namespace

std::expected<AskExec, sys::SetupError> AskExec::start(const std::string& command,
                                                       const sys::SavedSignals& signals) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return std::unexpected(sys::SetupError{"socketpair for --ask-exec", errno, ""});
  }
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return std::unexpected(sys::SetupError{"start --ask-exec", errno, ""});
  if (pid == 0) run_program(command, theirs, signals);
  return AskExec(std::move(ours));
}

void AskExec::tell(std::string_view line) {
  if (!is_there()) return;
  if (unsent_.size() + line.size() > kUnsentMax) {
    give_up("it does not take its questions");
    return;
  }
  unsent_ += line;
  flush();
}

void AskExec::flush() {
  while (is_there() && !unsent_.empty()) {
    const ssize_t sent =
        ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && sys::would_block(errno)) return;
    if (sent < 0) {
      give_up("it has ended");
      return;
    }
    unsent_.erase(0, static_cast<std::size_t>(sent));
  }
}

std::optional<control::Request> AskExec::next() {
  if (is_there() && input_.find('\n') == std::string::npos) read();
  for (;;) {
    const std::size_t end = input_.find('\n');
    if (end == std::string::npos) break;
    const std::string line = input_.substr(0, end);
    input_.erase(0, end + 1);
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (auto request = read_line(line)) return request;
  }
  if (input_.size() > control::kLineMax) give_up("a line of it is too long");
  return std::nullopt;
}

void AskExec::read() {
  std::array<char, 4096> buffer;
  const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got > 0) {
    input_.append(buffer.data(), static_cast<std::size_t>(got));
  } else if (got == 0 || !sys::would_block(errno)) {
    give_up("it has ended");
  }
}

std::optional<control::Request> AskExec::read_line(std::string_view line) {
  auto request = control::parse_request(line);
  const bool answers = request && (request->verb == control::Verb::kApprove ||
                                   request->verb == control::Verb::kRefuse);
  if (answers) return std::move(*request);
  telemetry::log_warn("--ask-exec: an answer is none: {}",
                      request ? "expected approve or refuse" : request.error().message);
  if (++bad_lines_ >= kBadLinesMax) give_up("too many of its answers are none");
  return std::nullopt;
}

// What it has said before still counts.
void AskExec::give_up(std::string_view why) {
  if (!is_there()) return;
  telemetry::log_warn("--ask-exec: the program answers no more: {}", why);
  socket_.reset();
  unsent_.clear();
  if (bad_lines_ >= kBadLinesMax || input_.size() > control::kLineMax) input_.clear();
}

}  // namespace sluice::serve
