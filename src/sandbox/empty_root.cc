#include "sandbox/empty_root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace sluice::sandbox {
namespace {

using Done = std::expected<void, sys::SetupError>;

// There on every system, and nobody's to look at from here on.
constexpr const char* kMountPoint = "/proc";

[[nodiscard]] std::unexpected<sys::SetupError> failed(std::string step) {
  return std::unexpected(sys::SetupError{std::move(step), errno, ""});
}

[[nodiscard]] bool write_file(const char* path, std::string_view text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  return file.valid() &&
         ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// user_namespaces(7): without rights outside, one's own numbers, and no other groups.
[[nodiscard]] bool keep_own_numbers(uid_t uid, gid_t gid) {
  const auto same = [](unsigned number) {
    return std::to_string(number) + " " + std::to_string(number) + " 1";
  };
  return write_file("/proc/self/setgroups", "deny") &&
         write_file("/proc/self/uid_map", same(uid)) && write_file("/proc/self/gid_map", same(gid));
}

[[nodiscard]] Done leave_mounts() {
  if (::unshare(CLONE_NEWNS) == 0) return {};
  if (errno != EPERM) return failed("a mount namespace of our own");
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return failed("a user namespace of our own");
  if (!keep_own_numbers(uid, gid)) return failed("map our user");
  return {};
}

}  // namespace

Done enter_empty_root() {
  if (auto left = leave_mounts(); !left) return left;
  // Before all else, so that nothing of this shows in the host's mounts.
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return failed("mounts of our own");
  }
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
  if (::mount("none", kMountPoint, "tmpfs", kFlags, "size=4k,nr_inodes=2,mode=555") != 0 ||
      ::chdir(kMountPoint) != 0) {
    return failed("an empty file system");
  }
  // pivot_root(2): the old root lies over the new one then, and goes.
  if (::syscall(SYS_pivot_root, ".", ".") != 0 || ::umount2(".", MNT_DETACH) != 0 ||
      ::chdir("/") != 0) {
    return failed("an empty root");
  }
  return {};
}

}  // namespace sluice::sandbox
