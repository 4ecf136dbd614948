#include "forward/listen/upgrade.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "sys/sys_error.h"

extern char** environ;

namespace sluice::forward {
namespace {

// What goes through the pipe when the program could not be executed.
constexpr char kExecFailed = 'X';
struct ExecFailure {
  char mark = kExecFailed;
  int error = 0;
};

// The child writes its pid over these digits: it is not known before fork().
constexpr std::string_view kPidDigits = "0000000000";

[[nodiscard]] std::string system_error(std::string_view what) {
  return fmt::format("{}: {}", what, sys::errno_text(errno));
}

template <typename Number>
[[nodiscard]] std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The text up to `separator`, which is removed with it.
[[nodiscard]] std::string_view cut(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view head = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return head;
}

[[nodiscard]] bool is_variable(const char* entry, std::string_view name) {
  return std::strncmp(entry, name.data(), name.size()) == 0 && entry[name.size()] == '=';
}

// Everything that the child needs between fork() and exec(), made before: other threads may hold
// the allocator's lock at that moment.
struct Image {
  std::string program;
  std::vector<std::string> arguments;
  std::string variable;
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::vector<int> kept;  // Descriptors that survive exec().
  int ready_fd = -1;

  Image(const std::vector<std::string>& command_line, std::span<const PassedSocket> sockets,
        int sockets_fd, int ready)
      : program(program_of(command_line)),
        arguments(command_line),
        variable(fmt::format("{}={} {} {}", kUpgradeVariable, kPidDigits, sockets_fd, ready)),
        kept{sockets_fd, ready},
        ready_fd(ready) {
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    for (char** entry = environ; *entry != nullptr; ++entry) {
      if (!is_variable(*entry, kUpgradeVariable)) envp.push_back(*entry);
    }
    envp.push_back(variable.data());
    envp.push_back(nullptr);
    for (const PassedSocket& socket : sockets) kept.push_back(socket.fd);
  }
};

// Only calls that are safe between fork() and exec() of a process with threads.
[[noreturn]] void become(Image& image, const sys::SavedSignals& signals) {
  char* digit = image.variable.data() + std::strlen(kUpgradeVariable) + 1 + kPidDigits.size();
  for (pid_t pid = ::getpid(); pid > 0; pid /= 10) *--digit = static_cast<char>('0' + pid % 10);
  for (const int fd : image.kept) ::fcntl(fd, F_SETFD, 0);
  signals.restore();
  ::execve(image.program.c_str(), image.argv.data(), image.envp.data());
  const ExecFailure failure{.error = errno};
  [[maybe_unused]] const ssize_t written = ::write(image.ready_fd, &failure, sizeof failure);
  ::_exit(127);
}

[[nodiscard]] std::expected<UniqueFd, std::string> write_description(
    std::span<const PassedSocket> sockets) {
  UniqueFd file(::memfd_create("sluice-sockets", MFD_CLOEXEC));
  if (!file.valid()) return std::unexpected(system_error("memfd_create"));
  const std::string text = describe_sockets(sockets);
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written =
        ::pwrite(file.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (written <= 0) return std::unexpected(system_error("write"));
    done += static_cast<std::size_t>(written);
  }
  return file;
}

}  // namespace

std::string describe_sockets(std::span<const PassedSocket> sockets) {
  fmt::memory_buffer text;
  for (const PassedSocket& socket : sockets) {
    fmt::format_to(std::back_inserter(text), "{} {} {}\n",
                   socket.kind == PassedKind::kListener ? "listener" : "activated", socket.fd,
                   socket.text);
  }
  return fmt::to_string(text);
}

std::optional<std::vector<PassedSocket>> parse_sockets(std::string_view text) {
  std::vector<PassedSocket> sockets;
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    const std::string_view kind = cut(line, ' ');
    const auto fd = number_of<int>(cut(line, ' '));
    if ((kind != "listener" && kind != "activated") || !fd || *fd < 0) return std::nullopt;
    sockets.push_back({.kind = kind == "listener" ? PassedKind::kListener : PassedKind::kActivated,
                       .fd = *fd,
                       .text = std::string(line)});
  }
  return sockets;
}

std::optional<UpgradeVariable> parse_upgrade_variable(std::string_view text) {
  const auto pid = number_of<pid_t>(cut(text, ' '));
  const auto sockets_fd = number_of<int>(cut(text, ' '));
  const auto ready_fd = number_of<int>(text);
  if (!pid || !sockets_fd || !ready_fd || *sockets_fd < 0 || *ready_fd < 0) return std::nullopt;
  return UpgradeVariable{*pid, *sockets_fd, *ready_fd};
}

std::string program_of(const std::vector<std::string>& command_line) {
  if (!command_line.empty() && command_line.front().find('/') != std::string::npos &&
      ::access(command_line.front().c_str(), X_OK) == 0) {
    return command_line.front();
  }
  std::array<char, 4096> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) return command_line.empty() ? std::string() : command_line.front();
  std::string program(path.data(), static_cast<std::size_t>(length));
  // What the kernel appends once the file was replaced by a new one under the same name.
  constexpr std::string_view kDeleted = " (deleted)";
  if (program.ends_with(kDeleted) && ::access(program.c_str(), F_OK) != 0) {
    program.resize(program.size() - kDeleted.size());
  }
  return program;
}

std::expected<Upgrade, std::string> Upgrade::start(const std::vector<std::string>& command_line,
                                                   std::span<const PassedSocket> sockets,
                                                   const sys::SavedSignals& signals) {
  if (command_line.empty()) return std::unexpected("the command line is not known");
  auto description = write_description(sockets);
  if (!description) return std::unexpected(std::move(description.error()));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    return std::unexpected(system_error("pipe"));
  }
  UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  Image image(command_line, sockets, description->get(), write_end.get());
  const pid_t pid = ::fork();
  if (pid < 0) return std::unexpected(system_error("fork"));
  if (pid == 0) become(image, signals);
  return Upgrade(pid, std::move(read_end));
}

Upgrade::State Upgrade::check() {
  ExecFailure message{.mark = '\0'};
  const ssize_t got = ::read(ready_.get(), &message, sizeof message);
  if (got < 0 && sys::would_block(errno)) return State::kStarting;
  if (got >= 1 && message.mark == kUpgradeReady) return State::kServes;
  if (got == static_cast<ssize_t>(sizeof message) && message.mark == kExecFailed) {
    failure_ = fmt::format("it could not be executed: {}", sys::errno_text(message.error));
  } else {
    await_exit();
  }
  abandon();
  return State::kFailed;
}

// A process that has closed the pipe is at its end, or is a program that knows of no hand-over.
void Upgrade::await_exit() {
  constexpr int kWaitMs = 500;
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  pollfd item{.fd = process.get(), .events = POLLIN, .revents = 0};
  int status = 0;
  if (!process.valid() || ::poll(&item, 1, kWaitMs) != 1 ||
      ::waitpid(pid_, &status, WNOHANG) != pid_) {
    failure_ = "it closed the pipe before it was ready";
    return;
  }
  failure_ = WIFEXITED(status)
                 ? fmt::format("it ended with status {} before it was ready", WEXITSTATUS(status))
                 : fmt::format("signal {} ended it before it was ready", WTERMSIG(status));
  pid_ = -1;
}

void Upgrade::abandon() {
  if (failure_.empty()) failure_ = "it was not ready in time";
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

}  // namespace sluice::forward
