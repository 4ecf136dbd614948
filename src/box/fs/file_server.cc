#include "box/fs/file_server.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "sandbox/capabilities.h"
#include "sys/descriptors.h"
#include "sys/sys_error.h"
#include "sys/unix_socket.h"

namespace sluice::box {
namespace {

using Done = std::expected<void, sys::SetupError>;

constexpr int kListener = 3;
constexpr std::size_t kWordsMax = 500;
constexpr int kEndPatienceMs = 2000;
// What a virtiofsd asks for where it may (its --rlimit-nofile): the guest's kernel keeps a file of
// it for each inode that it knows.
constexpr rlim_t kFilesMax = 1'000'000;

// What it needs to act for any user, as virtiofsd's own list has it, and to confine itself.
constexpr std::array<unsigned, 10> kKept = {
    CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,  CAP_FSETID,     CAP_SETGID,
    CAP_SETUID, CAP_MKNOD,        CAP_SETFCAP, CAP_SYS_CHROOT, CAP_SETPCAP};

[[nodiscard]] std::unexpected<sys::SetupError> failed(std::string step) {
  return std::unexpected(sys::SetupError{std::move(step), errno, ""});
}

struct Ends {
  UniqueFd listener;
  UniqueFd connection;
};

// virtiofsd takes a socket that listens, and serves who comes first. That is us: the name of the
// socket lies in a directory that is ours alone, and is gone before virtiofsd starts.
[[nodiscard]] std::expected<Ends, sys::SetupError> connected_ends() {
  const char* const temporary = ::getenv("TMPDIR");
  std::string directory =
      fmt::format("{}/sluice-XXXXXX", temporary == nullptr ? "/tmp" : temporary);
  if (::mkdtemp(directory.data()) == nullptr) return failed(fmt::format("make {}", directory));
  const std::string path = directory + "/fs";
  const auto address = sys::unix_sockaddr(path);
  Ends ends{UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
            UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))};
  if (!address) errno = ENAMETOOLONG;
  const bool made = address && ends.listener.valid() && ends.connection.valid() &&
                    ::bind(ends.listener.get(), address->get(), address->length) == 0 &&
                    ::listen(ends.listener.get(), 1) == 0 &&
                    ::connect(ends.connection.get(), address->get(), address->length) == 0;
  const int error = errno;
  ::unlink(path.c_str());
  ::rmdir(directory.c_str());
  errno = error;
  if (!made) return failed(fmt::format("a socket {} for virtiofsd", path));
  return ends;
}

void raise_file_limit() {
  rlimit limit{kFilesMax, kFilesMax};
  if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

// What the child has of ours.
struct ChildEnds {
  int listener;
  int log;
  int report;
};

// All of the child's own, up to the program.
[[nodiscard]] Done become_virtiofsd(const FileServerPlan& plan, const ChildEnds& ends) {
  // Not the terminal's: what is typed is the guest's affair.
  ::setsid();
  ::prctl(PR_SET_NAME, "virtiofsd");
  if (const auto entered = enter_own_namespaces(); !entered) return entered;
  const auto place = mount_tree(plan.tree);
  if (!place) return std::unexpected(place.error());
  raise_file_limit();

  const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  // dup2() of one descriptor onto itself would leave it to be closed; none of them is so low.
  if (::dup2(nothing.get(), STDIN_FILENO) < 0 || ::dup2(ends.log, STDOUT_FILENO) < 0 ||
      ::dup2(ends.log, STDERR_FILENO) < 0 || ::dup2(ends.listener, kListener) < 0) {
    return failed("descriptors of virtiofsd");
  }
  sys::close_descriptors_but({kListener, ends.report});

  sigset_t none;
  ::sigemptyset(&none);
  for (const int number : {SIGPIPE, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM}) {
    ::signal(number, SIG_DFL);
  }
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  if (const auto chosen = sandbox::choose_capabilities(kKept, sandbox::CapabilityHeirs::kPrograms);
      !chosen) {
    return chosen;
  }
  if (const auto kept = sandbox::keep_chosen_capabilities(); !kept) return kept;
  // A change of capabilities forgets it (prctl(2)).
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);

  std::vector<std::string> words =
      virtiofsd_command(plan.program, kListener, *place,
                        ::geteuid() == 0 ? VirtiofsdUser::kRoot : VirtiofsdUser::kOther);
  std::vector<char*> arguments;
  for (std::string& each : words) arguments.push_back(each.data());
  arguments.push_back(nullptr);
  std::array<char*, 1> environment = {nullptr};
  ::execve(plan.program.path.c_str(), arguments.data(), environment.data());
  return failed(fmt::format("execute {}", plan.program.path));
}

[[noreturn]] void run_child(const FileServerPlan& plan, const ChildEnds& ours, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  // Numbers that the program is to have are below these.
  const auto above = [](int fd) { return ::fcntl(fd, F_DUPFD_CLOEXEC, kListener + 1); };
  const ChildEnds ends{above(ours.listener), above(ours.log), above(ours.report)};
  const auto done = become_virtiofsd(plan, ends);
  const std::string text = done ? "" : done.error().describe();
  (void)!::write(ends.report, text.data(), text.size());
  ::_exit(1);
}

// Nothing where the program was executed, which closes the other end.
[[nodiscard]] std::string read_report(int report) {
  std::string text;
  std::array<char, 512> part;
  while (true) {
    const ssize_t length = ::read(report, part.data(), part.size());
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return text;
    text.append(part.data(), static_cast<std::size_t>(length));
  }
}

void await_end(int pidfd, int patience_ms) {
  pollfd wait{.fd = pidfd, .events = POLLIN, .revents = 0};
  (void)::poll(&wait, 1, patience_ms);
  siginfo_t info{};
  (void)::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG);
}

struct Pipe {
  UniqueFd from;
  UniqueFd to;
};
[[nodiscard]] std::expected<Pipe, sys::SetupError> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed("a pipe for virtiofsd");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

std::expected<FileServer, sys::SetupError> FileServer::start(sys::Kernel& kernel,
                                                             const FileServerPlan& plan) {
  auto ends = connected_ends();
  if (!ends) return std::unexpected(ends.error());
  auto front_end = VhostFrontEnd::over(sys::KernelFd(kernel, ends->connection.release()));
  if (!front_end) return std::unexpected(sys::SetupError{front_end.error().describe(), 0, ""});
  auto log = make_pipe();
  if (!log) return std::unexpected(log.error());
  auto report = make_pipe();
  if (!report) return std::unexpected(report.error());
  ::fcntl(log->from.get(), F_SETFL, O_NONBLOCK);  // Of a description that nobody shares.

  const pid_t parent = ::getpid();
  int pidfd = -1;
  const long pid = ::syscall(SYS_clone, static_cast<unsigned long>(CLONE_PIDFD | SIGCHLD), nullptr,
                             &pidfd, nullptr, nullptr);
  if (pid < 0) return failed("start virtiofsd");
  if (pid == 0) {
    run_child(plan, {ends->listener.get(), log->to.get(), report->to.get()}, parent);
  }
  FileServer server(plan, std::move(*front_end), UniqueFd(pidfd), std::move(log->from));
  report->to.reset();
  log->to.reset();
  const std::string why = read_report(report->from.get());
  if (!why.empty()) return std::unexpected(sys::SetupError{why, 0, ""});
  return server;
}

FileServer::~FileServer() {
  if (!pidfd_.valid()) return;
  hang_up();
  await_end(pidfd_.get(), kEndPatienceMs);
}

void FileServer::hang_up() { ::shutdown(front_end_.fd(), SHUT_RDWR); }

bool FileServer::read_log() {
  std::array<char, 4096> part;
  while (true) {
    const ssize_t length = ::read(log_.get(), part.data(), part.size());
    if (length < 0) return sys::would_block(errno);
    if (length == 0) return false;
    std::string_view text(part.data(), static_cast<std::size_t>(length));
    while (text.ends_with('\n')) text.remove_suffix(1);
    const std::size_t line = text.rfind('\n');
    if (line != std::string_view::npos) text.remove_prefix(line + 1);
    if (!text.empty()) words_ = text.substr(0, kWordsMax);
  }
}

}  // namespace sluice::box
