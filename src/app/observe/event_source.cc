#include "app/observe/event_source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "telemetry/events/seen_event.h"

namespace sluice::app {
namespace {

// Nothing tells of what is appended to a file, but to look.
constexpr int kLookAgainMs = 50;
constexpr std::size_t kPiece = 64 * 1024;

bool is_regular(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

std::expected<EventSource, sys::SysError> EventSource::open(const std::string& path, bool follow) {
  UniqueFd fd(path == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                          : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  const bool grows = follow && is_regular(fd.get());
  return EventSource(std::move(fd), grows);
}

void EventSource::rewind_if_shorter() {
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) return;
  if (static_cast<std::uint64_t>(status.st_size) >= position_) return;
  (void)::lseek(fd_.get(), 0, SEEK_SET);
  position_ = 0;
  rest_.clear();
}

void EventSource::split(std::string_view piece,
                        const std::function<void(std::string_view)>& on_line) {
  for (std::size_t end = piece.find('\n'); end != std::string_view::npos; end = piece.find('\n')) {
    if (rest_.empty()) {
      on_line(piece.substr(0, end));
    } else {
      rest_.append(piece.substr(0, end));
      on_line(rest_);
      rest_.clear();
    }
    piece.remove_prefix(end + 1);
  }
  // What is beyond is no event's.
  if (rest_.size() <= telemetry::kEventLineMax) rest_.append(piece);
}

std::expected<void, sys::SysError> EventSource::read_all(
    const std::function<void(std::string_view)>& on_line, const std::function<bool()>& idle) {
  std::vector<char> piece(kPiece);
  while (true) {
    const ssize_t got = ::read(fd_.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(sys::last_error(sys::SysOp::kRead));
    if (got > 0) {
      position_ += static_cast<std::uint64_t>(got);
      split({piece.data(), static_cast<std::size_t>(got)}, on_line);
    }
    const bool more = static_cast<std::size_t>(got) == piece.size();
    if (!more && !idle()) return {};
    if (got > 0) continue;
    if (!follow_) break;
    (void)::poll(nullptr, 0, kLookAgainMs);
    rewind_if_shorter();
  }
  if (!rest_.empty()) on_line(std::exchange(rest_, {}));
  return {};
}

}  // namespace sluice::app
