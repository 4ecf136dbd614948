#include "box/fs/file_tree.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "base/unique_fd.h"

namespace sluice::box {
namespace {

using Done = std::expected<void, sys::SetupError>;

[[nodiscard]] std::unexpected<sys::SetupError> failed(std::string step, std::string hint = "") {
  return std::unexpected(sys::SetupError{std::move(step), errno, std::move(hint)});
}

// Some systems let anybody make a user namespace, and give no rights in it (AppArmor of Ubuntu).
constexpr const char* kUserNamespaceHint =
    "user namespaces must be permitted (sysctl kernel.apparmor_restrict_unprivileged_userns=0 "
    "where there is that), or sluice be started as root";

[[nodiscard]] bool write_file(const char* path, const std::string& text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  return file.valid() &&
         ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Some directory that every system has, and that a file server has no other use for.
constexpr std::array<const char*, 4> kMountPoints = {"/mnt", "/media", "/srv", "/tmp"};

constexpr std::array<std::string_view, 18> kKernelFileSystems = {
    "proc",     "sysfs",     "devtmpfs", "devpts",     "cgroup",    "cgroup2",
    "debugfs",  "tracefs",   "bpf",      "securityfs", "mqueue",    "configfs",
    "efivarfs", "hugetlbfs", "pstore",   "fusectl",    "selinuxfs", "binfmt_misc"};

// Behind `count` blanks, up to the next.
[[nodiscard]] std::string_view word(std::string_view line, std::size_t count) {
  for (; count > 0; --count) {
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) return {};
    line.remove_prefix(blank + 1);
  }
  return line.substr(0, line.find(' '));
}

// Blanks, tabs, newlines and backslashes are written as \040 and so on.
[[nodiscard]] std::string unescaped(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

[[nodiscard]] Done hide(const std::string& place) {
  // What is behind another that was hidden is not there any more.
  if (::access(place.c_str(), F_OK) != 0) return {};
  if (::mount("none", place.c_str(), "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=4k,nr_inodes=2,mode=555") == 0 ||
      errno == ENOTDIR) {
    return {};
  }
  return failed(fmt::format("hide {} from the guest", place));
}

// The mount there, and all below it.
[[nodiscard]] Done hold(const std::string& place, std::uint64_t attributes) {
  mount_attr set{};
  set.attr_set = attributes;
  if (::mount_setattr(AT_FDCWD, place.c_str(), AT_RECURSIVE, &set, sizeof set) == 0) return {};
  return failed(fmt::format("hold {} to what the guest may do", place),
                errno == ENOSYS ? "mount_setattr() is there since Linux 5.12" : "");
}

// Over which directory; empty: errno says why not.
[[nodiscard]] std::string attach(int mounts) {
  for (const char* const point : kMountPoints) {
    if (::move_mount(mounts, "", AT_FDCWD, point, MOVE_MOUNT_F_EMPTY_PATH) == 0) return point;
  }
  return "";
}

// Empty where there is no such directory: errno says why.
[[nodiscard]] std::string real_path(const std::string& directory) {
  std::array<char, PATH_MAX> path{};
  return ::realpath(directory.c_str(), path.data()) != nullptr ? path.data() : "";
}

// Where it is below `directory`, from there on.
[[nodiscard]] std::optional<std::string> relative_to(std::string_view directory,
                                                     std::string_view place) {
  if (directory != "/") {
    if (!place.starts_with(directory)) return std::nullopt;
    place.remove_prefix(directory.size());
  }
  if (place.size() < 2 || place.front() != '/') return std::nullopt;
  return std::string(place.substr(1));
}

[[nodiscard]] std::vector<std::string> hidden_in(const SharedTree& tree,
                                                 const std::string& directory,
                                                 std::string_view mountinfo) {
  std::vector<std::string> hidden = hidden_mounts(mountinfo, directory);
  for (const std::string& folder : tree.hidden) {
    const std::string place = real_path(folder);
    // The directory itself: all of it is.
    if (place == directory) return {""};
    if (auto below = relative_to(directory, place)) hidden.push_back(std::move(*below));
  }
  return hidden;
}

}  // namespace

std::expected<void, sys::SetupError> enter_own_namespaces() {
  constexpr int kOwn = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC;
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(kOwn) != 0) {
    if (errno != EPERM) return failed("namespaces for virtiofsd");
    if (::unshare(CLONE_NEWUSER | kOwn) != 0) {
      return failed("a user namespace for virtiofsd", kUserNamespaceHint);
    }
    // user_namespaces(7): without rights outside, one's own numbers, and no other groups.
    if (!write_file("/proc/self/setgroups", "deny") ||
        !write_file("/proc/self/uid_map", fmt::format("{0} {0} 1", uid)) ||
        !write_file("/proc/self/gid_map", fmt::format("{0} {0} 1", gid))) {
      return failed("map the user of virtiofsd", kUserNamespaceHint);
    }
  }
  // One that came from the host later would have its own flags, and could be written.
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return failed("mounts for virtiofsd", uid == 0 ? "" : kUserNamespaceHint);
  }
  return {};
}

std::vector<std::string> hidden_mounts(std::string_view mountinfo, std::string_view directory) {
  std::vector<std::string> hidden;
  while (!mountinfo.empty()) {
    const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(line.size() + 1, mountinfo.size()));
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const std::string_view type = word(line.substr(dash + 3), 0);
    if (std::ranges::find(kKernelFileSystems, type) == kKernelFileSystems.end()) continue;
    if (auto below = relative_to(directory, unescaped(word(line, 4)))) {
      hidden.push_back(std::move(*below));
    }
  }
  // In containers it is a tmpfs with devices of the host's in it.
  if (directory == "/") hidden.emplace_back("dev");
  std::ranges::sort(hidden);
  hidden.erase(std::ranges::unique(hidden).begin(), hidden.end());
  return hidden;
}

std::expected<std::string, sys::SetupError> mount_tree(const SharedTree& tree) {
  // mount(2) follows links, and what is compared with names of mounts has to be one without any.
  const std::string directory = real_path(tree.directory);
  if (directory.empty()) return failed(fmt::format("find {} for the guest", tree.directory));
  std::ifstream file("/proc/self/mountinfo");
  const std::string mountinfo{std::istreambuf_iterator<char>(file), {}};
  const UniqueFd mounts(
      ::open_tree(AT_FDCWD, directory.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!mounts.valid()) return failed(fmt::format("a mount of {} for the guest", directory));
  if (const auto held = hold("/", MOUNT_ATTR_RDONLY); !held) return std::unexpected(held.error());
  const auto place = attach(mounts.get());
  if (place.empty()) return failed(fmt::format("a place for {}", directory));
  for (const std::string& each : hidden_in(tree, directory, mountinfo)) {
    const auto done = hide(fmt::format("{}/{}", place, each));
    if (!done) return std::unexpected(done.error());
  }
  const std::uint64_t access = tree.access == TreeAccess::kReadOnly ? MOUNT_ATTR_RDONLY : 0U;
  const auto held = hold(place, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | access);
  if (!held) return std::unexpected(held.error());
  return place;
}

}  // namespace sluice::box
