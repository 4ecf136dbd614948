#include "forward/file_watch.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/siphash.h"

namespace sluice::forward {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kEvents =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

[[nodiscard]] std::string folder_of(const fs::path& path) {
  const fs::path folder = path.parent_path();
  return folder.empty() ? std::string(".") : folder.string();
}

}  // namespace

std::expected<FileWatch, host::SysError> FileWatch::open(const std::string& path) {
  UniqueFd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd.valid()) return std::unexpected(host::last_error(host::SysOp::kOpen));
  FileWatch watch(std::move(fd), path);
  watch.watch_folders();
  if (watch.watches_.empty()) return std::unexpected(host::last_error(host::SysOp::kOpen));
  watch.seen_ = watch.digest();
  return watch;
}

// Where links lead may change with each event, so this is done anew each time it does.
void FileWatch::watch_folders() {
  std::vector<std::string> folders{folder_of(path_)};
  std::error_code error;
  fs::path at = path_;
  constexpr int kLinks = 40;  // As many as the kernel follows.
  for (int i = 0; i < kLinks && fs::is_symlink(fs::symlink_status(at, error)); ++i) {
    const fs::path target = fs::read_symlink(at, error);
    if (error) break;
    at = target.is_absolute() ? target : at.parent_path() / target;
    folders.push_back(folder_of(at));
  }
  // A link may also be a folder on the way: that of what it all comes to in the end.
  const fs::path real = fs::canonical(path_, error);
  if (!error) folders.push_back(folder_of(real));
  if (folders == folders_) return;
  for (const int watch : watches_) ::inotify_rm_watch(fd_.get(), watch);
  watches_.clear();
  for (const std::string& folder : folders) {
    const int watch = ::inotify_add_watch(fd_.get(), folder.c_str(), kEvents);
    // Two names of one folder are one watch.
    if (watch >= 0 && std::ranges::find(watches_, watch) == watches_.end()) {
      watches_.push_back(watch);
    }
  }
  folders_ = std::move(folders);
}

void FileWatch::on_readable(Instant now) {
  alignas(inotify_event) std::array<char, 4096> events{};
  bool any = false;
  while (::read(fd_.get(), events.data(), events.size()) > 0) any = true;
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

}  // namespace sluice::forward
