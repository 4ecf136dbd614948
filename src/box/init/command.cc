#include "box/init/command.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "box/init/step.h"
#include "sys/descriptors.h"

namespace sluice::box {
namespace {

// What the command gets; closed in us when it has them.
struct CommandEnds {
  UniqueFd input;
  UniqueFd output;
  UniqueFd error;
};

Failed failure(const sys::SetupError& error) {
  return {kExitSetupFailed, error.step, error.error, error.hint};
}

Step make_pipe(UniqueFd& reading, UniqueFd& writing) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return step_failed("make a pipe for the command");
  reading.reset(ends[0]);
  writing.reset(ends[1]);
  return {};
}

// `ours` shall not block. Its owner may open the stream again, as /dev/stdout.
Step hand_over(const UniqueFd& ours, const UniqueFd& theirs, const Setup& setup) {
  if (::fcntl(ours.get(), F_SETFL, O_NONBLOCK) == 0 &&
      ::fchown(theirs.get(), setup.uid, setup.gid) == 0) {
    return {};
  }
  return step_failed("give the command its streams");
}

Step open_error_pipe(const Setup& setup, RunningCommand& running, CommandEnds& ends) {
  if (auto made = make_pipe(running.error, ends.error); !made) return made;
  return hand_over(running.error, ends.error, setup);
}

Step open_pipes(const Setup& setup, RunningCommand& running, CommandEnds& ends) {
  if (auto made = make_pipe(ends.input, running.input); !made) return made;
  if (auto made = make_pipe(running.output, ends.output); !made) return made;
  if (auto done = hand_over(running.input, ends.input, setup); !done) return done;
  if (auto done = hand_over(running.output, ends.output, setup); !done) return done;
  return open_error_pipe(setup, running, ends);
}

Step open_terminal(const Setup& setup, RunningCommand& running, CommandEnds& ends) {
  constexpr gid_t kTty = 5;  // As devpts is mounted.
  running.input.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  std::array<char, 64> name{};
  if (!running.input.valid() || ::unlockpt(running.input.get()) != 0 ||
      ::ptsname_r(running.input.get(), name.data(), name.size()) != 0) {
    return step_failed("make a terminal");
  }
  set_window(running.input.get(), *setup.terminal);
  running.terminal.reset(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!running.terminal.valid() || ::fchown(running.terminal.get(), setup.uid, kTty) != 0 ||
      ::fchmod(running.terminal.get(), 0620) != 0) {
    return step_failed("open the terminal");
  }
  if (::ioctl(running.terminal.get(), TIOCSCTTY, 0) != 0) return step_failed("own the terminal");
  running.output.reset(::fcntl(running.input.get(), F_DUPFD_CLOEXEC, 0));
  for (UniqueFd* end : {&ends.input, &ends.output}) {
    end->reset(::fcntl(running.terminal.get(), F_DUPFD_CLOEXEC, 0));
  }
  if (setup.error_place == ErrorPlace::kOwnPort) return open_error_pipe(setup, running, ends);
  ends.error.reset(::fcntl(running.terminal.get(), F_DUPFD_CLOEXEC, 0));
  return {};
}

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  // The calls that take them do not write to them.
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// What a child cannot do, and why: by its pipe, whole.
enum class StartStep : std::uint8_t { kUser, kFolder, kCommand };
struct StartReport {
  StartStep step = StartStep::kUser;
  std::uint8_t status = kExitSetupFailed;
  int error = 0;
};

// The child: everything up to the command's first instruction. What fails it says by `report`.
class Child {
 public:
  Child(const Setup& setup, const CommandEnds& ends, int report)
      : setup_(&setup),
        ends_(&ends),
        report_(report),
        words_(pointers_to(setup.command)),
        environment_(pointers_to(setup.environment)) {}

  // With errno.
  [[noreturn]] void give_up(StartStep step, std::uint8_t status = kExitSetupFailed) const {
    const StartReport report{.step = step, .status = status, .error = errno};
    (void)!::write(report_, &report, sizeof report);  // A pipe has room for that.
    ::_exit(status);
  }

  [[noreturn]] void run() {
    ::setpgid(0, 0);
    if (setup_->terminal) ::tcsetpgrp(ends_->input.get(), ::getpid());
    reset_signals();
    limit_descriptors();
    ::umask(setup_->umask);
    const std::array<int, 3> streams = {ends_->input.get(), ends_->output.get(),
                                        ends_->error.get()};
    for (int i = 0; i < 3; ++i) {
      if (::dup2(streams[static_cast<std::size_t>(i)], i) < 0) give_up(StartStep::kUser);
    }
    if (::setgroups(setup_->groups.size(), setup_->groups.data()) != 0 ||
        ::setresgid(setup_->gid, setup_->gid, setup_->gid) != 0 ||
        ::setresuid(setup_->uid, setup_->uid, setup_->uid) != 0) {
      give_up(StartStep::kUser);
    }
    // As the command's user, who may not be let in everywhere; "/" is everybody's.
    if (::chdir(setup_->directory.c_str()) != 0) {
      if (setup_->directory_required) give_up(StartStep::kFolder);
      (void)!::chdir("/");
    }
    environ = environment_.data();  // Its PATH is where the command is looked for.
    ::execvp(words_.front(), words_.data());
    give_up(StartStep::kCommand, errno == ENOENT ? kExitNotFound : kExitNotExecutable);
  }

 private:
  // Init blocks all and ignores some; a command begins with neither.
  static void reset_signals() {
    struct sigaction standard{};
    standard.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &standard, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
  }
  void limit_descriptors() const {
    if (setup_->descriptor_limit == 0) return;
    const rlimit limit{.rlim_cur = setup_->descriptor_limit, .rlim_max = setup_->descriptor_limit};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }

  const Setup* setup_;
  const CommandEnds* ends_;
  int report_;
  std::vector<char*> words_;
  std::vector<char*> environment_;
};

// The process between us and the command. Whoever kills it takes nothing from the command but that
// a terminal can stop it.
[[noreturn]] void be_parent(Child child, UniqueFd report, const UniqueFd& news) {
  ::setpgid(0, 0);
  const auto tell = [&news](CommandNews::Kind kind, int number) {
    const CommandNews told{kind, number};
    (void)!::write(news.get(), &told, sizeof told);  // Whole: it is less than PIPE_BUF.
  };
  const pid_t pid = ::fork();
  if (pid == 0) child.run();
  if (pid < 0) child.give_up(StartStep::kUser);
  report.reset();  // Its end is that the command was executed.
  tell(CommandNews::Kind::kStarted, pid);
  // The command's streams end when it ends.
  sys::close_descriptors_but({news.get()});
  int status = 0;
  while (::waitpid(pid, &status, WUNTRACED) == pid) {
    if (!WIFSTOPPED(status)) {
      tell(CommandNews::Kind::kEnded, status);
      ::_exit(0);
    }
    tell(CommandNews::Kind::kStopped, WSTOPSIG(status));
  }
  ::_exit(0);
}

Failed failure_of_start(const StartReport& report, const Setup& setup) {
  switch (report.step) {
    case StartStep::kUser: return {report.status, "become the command's user", report.error, ""};
    case StartStep::kFolder:
      return {report.status, "--workdir: '" + setup.directory + "' in the machine", report.error,
              ""};
    case StartStep::kCommand: break;
  }
  return {report.status, setup.command.front(), report.error, ""};
}

// Whole, or less at the end.
std::size_t read_whole(int fd, void* into, std::size_t size) {
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = ::read(fd, static_cast<char*>(into) + have, size - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  return have;
}

}  // namespace

void set_window(int terminal, const Window& window) {
  const winsize size{
      .ws_row = window.rows, .ws_col = window.columns, .ws_xpixel = 0, .ws_ypixel = 0};
  ::ioctl(terminal, TIOCSWINSZ, &size);
}

std::expected<RunningCommand, Failed> start_command(const Setup& setup) {
  RunningCommand running;
  CommandEnds ends;
  const Step opened =
      setup.terminal ? open_terminal(setup, running, ends) : open_pipes(setup, running, ends);
  if (!opened) return std::unexpected(failure(opened.error()));
  UniqueFd reading;  // Ends by itself when the command is executed.
  UniqueFd writing;
  UniqueFd telling;
  if (auto made = make_pipe(reading, writing); !made) return std::unexpected(failure(made.error()));
  if (auto made = make_pipe(running.news, telling); !made) {
    return std::unexpected(failure(made.error()));
  }
  const Child child(setup, ends, writing.get());
  const pid_t parent = ::fork();
  if (parent < 0) {
    return std::unexpected(failure(step_failed("start a process for the command").error()));
  }
  if (parent == 0) be_parent(child, std::move(writing), telling);
  writing.reset();
  telling.reset();
  StartReport report;
  if (read_whole(reading.get(), &report, sizeof report) != 0) {
    return std::unexpected(failure_of_start(report, setup));
  }
  CommandNews started;
  if (read_whole(running.news.get(), &started, sizeof started) != sizeof started ||
      ::fcntl(running.news.get(), F_SETFL, O_NONBLOCK) != 0) {
    return std::unexpected(failure(step_failed("hear of the command").error()));
  }
  running.pid = started.number;
  return running;
}

}  // namespace sluice::box
