#include "telemetry/line_file.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "telemetry/log.h"

namespace sluice::telemetry {
namespace {

// A reader of a pipe may be this slow before lines are lost.
constexpr int kReaderPatienceMs = 20;

bool is_regular_file(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

// As many whole lines as fit, or a part of the first one if that alone is too long.
std::string_view leading_lines(std::string_view lines, std::size_t size_max) {
  if (lines.size() <= size_max) return lines;
  const std::size_t newline = lines.rfind('\n', size_max - 1);
  return lines.substr(0, newline == std::string_view::npos ? size_max : newline + 1);
}

}  // namespace

std::expected<LineFile, sys::SysError> LineFile::open(const std::string& path,
                                                      const LineFileKind& kind) {
  // O_NONBLOCK: the open of a FIFO would wait for a reader.
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  UniqueFd fd(::open(path.c_str(), kFlags, kind.mode));
  if (!fd.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  return LineFile(std::move(fd), path, kind);
}

std::expected<LineFile, sys::SysError> LineFile::standard_output(const LineFileKind& kind) {
  UniqueFd fd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!fd.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  return LineFile(std::move(fd), "standard output", kind);
}

LineFile::LineFile(UniqueFd fd, std::string name, const LineFileKind& kind)
    : fd_(std::move(fd)),
      name_(std::move(name)),
      kind_(kind),
      regular_(is_regular_file(fd_.get())) {}

void LineFile::give_to(uid_t uid, gid_t gid) const {
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != 0) return;
  [[maybe_unused]] const int given = ::fchown(fd_.get(), uid, gid);
}

void LineFile::write(std::string_view lines) {
  const std::size_t taken = take(lines, stalled_ ? 0 : kReaderPatienceMs);
  if (taken < lines.size()) lose_rest(lines.substr(taken));
}

std::size_t LineFile::offer(std::string_view lines) {
  const std::size_t taken = take(lines, 0);
  if (taken == lines.size() || last_error_ == EAGAIN) return taken;
  lose_rest(lines.substr(taken));
  return lines.size();
}

void LineFile::lose(std::uint64_t lines) {
  lost_ += lines;
  tell_loss(EAGAIN);
}

std::size_t LineFile::take(std::string_view lines, int patience_ms) {
  if (torn_) {
    if (write_some("\n", patience_ms) == 0) return 0;
    torn_ = false;
  }
  std::size_t done = 0;
  while (done < lines.size()) {
    // A pipe takes PIPE_BUF bytes without waiting when poll(2) says that it is ready.
    const std::string_view rest = lines.substr(done);
    const std::string_view piece = leading_lines(rest, regular_ ? rest.size() : PIPE_BUF);
    const std::size_t taken = write_some(piece, patience_ms);
    done += taken;
    if (taken > 0) inside_ = piece[taken - 1] != '\n';
    if (taken < piece.size()) return done;
  }
  stalled_ = false;
  if (told_ == Told::kLoss) tell_recovery();
  return done;
}

std::size_t LineFile::write_some(std::string_view bytes, int patience_ms) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    if (!regular_ && !ready_to_take(patience_ms)) {
      last_error_ = EAGAIN;
      break;
    }
    const ssize_t written = ::write(fd_.get(), bytes.data() + done, bytes.size() - done);
    if (written > 0) {
      done += static_cast<std::size_t>(written);
    } else if (written == 0 || errno != EINTR) {
      last_error_ = written == 0 ? ENOSPC : errno;
      break;
    }
  }
  return done;
}

bool LineFile::ready_to_take(int patience_ms) const {
  pollfd waiting{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
  // A signal or POLLERR: write(2) says what is the matter.
  return ::poll(&waiting, 1, patience_ms) != 0;
}

void LineFile::lose_rest(std::string_view lines) {
  stalled_ = true;
  torn_ = std::exchange(inside_, false) || torn_;
  lost_ += static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
  tell_loss(last_error_);
}

void LineFile::tell_loss(int error) {
  if (told_ != Told::kNothing) return;
  told_ = Told::kLoss;
  log_error("{}cannot write {} to '{}': {}; lines are lost until it can be written", kind_.option,
            kind_.content, name_, sys::errno_text(error));
}

// Once, as the loss: a reader that is a little too slow would fill the terminal.
void LineFile::tell_recovery() {
  told_ = Told::kRecovery;
  log_warn("{}{} are written to '{}' again; {} line{} lost", kind_.option, kind_.content, name_,
           lost_, lost_ == 1 ? " was" : "s were");
}

}  // namespace sluice::telemetry
