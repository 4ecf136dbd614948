#include "service/daemon.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <utility>

namespace sluice::service {
namespace {

[[noreturn]] void wait_for_child(pid_t child, int from_child) {
  char ready = 0;
  ssize_t got = 0;
  do {
    got = ::read(from_child, &ready, 1);
  } while (got < 0 && errno == EINTR);
  // Not exit(): what is registered to run at the end is the child's.
  if (got == 1) ::_exit(EXIT_SUCCESS);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  // A child that ended well without ever having listened has not started.
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
  ::_exit(code == EXIT_SUCCESS ? EXIT_FAILURE : code);
}

}  // namespace

std::expected<Detachment, sys::SysError> Detachment::begin() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  }
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return std::unexpected(sys::last_error(sys::SysOp::kClone));
  if (child > 0) {
    write_end.reset();
    wait_for_child(child, read_end.get());
  }
  ::setsid();
  return Detachment(std::move(write_end));
}

void Detachment::detached() {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (null.valid()) {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null.get(), fd);
  }
  const char ready = 1;
  [[maybe_unused]] const ssize_t written = ::write(parent_.get(), &ready, 1);
  parent_.reset();
}

std::expected<PidFile, sys::SysError> PidFile::write(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  const pid_t writer = ::getpid();
  const std::string text = fmt::format("{}\n", writer);
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return std::unexpected(sys::last_error(sys::SysOp::kWrite));
  }
  return PidFile(path, writer);
}

PidFile& PidFile::operator=(PidFile&& other) noexcept {
  if (this != &other) {
    remove();
    path_ = std::exchange(other.path_, {});
    writer_ = other.writer_;
  }
  return *this;
}

void PidFile::give_to(uid_t uid, gid_t gid) const {
  // A file that cannot be given away is written by nobody after us.
  [[maybe_unused]] const int given = ::lchown(path_.c_str(), uid, gid);
}

void PidFile::remove() {
  if (path_.empty()) return;
  std::array<char, 32> text{};
  pid_t pid = 0;
  {
    const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    const ssize_t got = ::read(file.get(), text.data(), text.size());
    if (got > 0) std::from_chars(text.data(), text.data() + got, pid);
  }
  // Without the right to its folder it stays, but names nobody.
  if (pid == writer_ && ::unlink(path_.c_str()) != 0) {
    [[maybe_unused]] const int emptied = ::truncate(path_.c_str(), 0);
  }
  path_.clear();
}

}  // namespace sluice::service
