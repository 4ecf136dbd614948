#include "service/file_watch.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/siphash.h"
#include "sys/waypoints.h"

namespace sluice::service {
namespace {

// Of a directory that is passed through.
constexpr std::uint32_t kInItsPlace = IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD;
constexpr std::uint32_t kEntries = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE;

}  // namespace

std::expected<FileWatch, sys::SysError> FileWatch::open(const std::string& path) {
  UniqueFd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  FileWatch watch(std::move(fd), path);
  watch.watch_folders();
  if (watch.watches_.empty()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  watch.seen_ = watch.digest();
  return watch;
}

// Where links lead, and which directory a name means, may change with each event, so this is done
// anew each time. Two names of one directory are one watch.
void FileWatch::watch_folders() {
  std::vector<int> watches;
  std::vector<sys::Waypoint> points = sys::waypoints(path_);
  // What changes while watches are added is seen by none of them.
  for (int tries = 0; tries < 3; ++tries) {
    for (const sys::Waypoint& point : points) {
      const int watch = ::inotify_add_watch(fd_.get(), point.directory.c_str(),
                                            kInItsPlace | (point.decides ? kEntries : 0));
      if (watch >= 0) watches.push_back(watch);
    }
    std::vector<sys::Waypoint> now = sys::waypoints(path_);
    if (now == points) break;
    points = std::move(now);
  }
  std::ranges::sort(watches);
  const auto twice = std::ranges::unique(watches);
  watches.erase(twice.begin(), twice.end());
  for (const int watch : watches_) {
    if (!std::ranges::binary_search(watches, watch)) ::inotify_rm_watch(fd_.get(), watch);
  }
  watches_ = std::move(watches);
}

void FileWatch::on_readable(Instant now) {
  alignas(inotify_event) std::array<char, 4096> events{};
  bool any = false;
  for (;;) {
    const ssize_t got = ::read(fd_.get(), events.data(), events.size());
    if (got <= 0) break;
    for (ssize_t at = 0; at < got;) {
      inotify_event event{};
      std::memcpy(&event, events.data() + at, sizeof event);
      // That a watch has ended, which is our own doing or came with another event.
      any |= (event.mask & IN_IGNORED) == 0;
      at += static_cast<ssize_t>(sizeof event + event.len);
    }
  }
  if (!any) return;
  // Whichever name it was: the file may be reached through others. The content decides.
  if (first_event_ == kNever) first_event_ = now;
  check_at_ = std::min(now + kQuiet, first_event_ + kPatience);
}

bool FileWatch::changed(Instant now) {
  if (now < check_at_) return false;
  check_at_ = kNever;
  first_event_ = kNever;
  watch_folders();
  const auto content = digest();
  // A file that is gone is about to come back, as editors do it.
  if (!content || content == seen_) return false;
  seen_ = content;
  return true;
}

void FileWatch::accept_content() {
  if (const auto content = digest()) seen_ = content;
}

// No one needs to find collisions here: who may write the file may change it.
std::optional<std::uint64_t> FileWatch::digest() const {
  // A pipe, such as a shell's <(...), can be read only once: that was its content.
  const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat status{};
  if (!file.valid() || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return std::nullopt;
  }
  std::uint64_t state = 0;
  std::array<std::uint8_t, 16384> block{};
  for (;;) {
    const ssize_t got = ::read(file.get(), block.data(), block.size());
    if (got < 0) return std::nullopt;
    if (got == 0) return state;
    state = siphash(SipKey{state, static_cast<std::uint64_t>(got)},
                    ByteView(block.data(), static_cast<std::size_t>(got)));
  }
}

}  // namespace sluice::service
