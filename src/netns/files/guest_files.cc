#include "netns/files/guest_files.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "base/unique_fd.h"

namespace sluice::netns {
namespace {

using Step = std::expected<void, sys::SetupError>;

constexpr std::string_view kEtc = "/etc/";
// Covered by a tmpfs for a moment, in a mount namespace that no other process is in. It always
// exists, and no file of ours is below it.
constexpr const char* kStage = "/proc";
constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

[[gnu::cold]] std::unexpected<sys::SetupError> failed(std::string step, const char* hint = "") {
  return std::unexpected(sys::SetupError{std::move(step), errno, hint});
}

// The tmpfs on kStage, while it lives.
class Stage {
 public:
  [[nodiscard]] static std::expected<Stage, sys::SetupError> open() {
    if (::mount("sluice", kStage, "tmpfs", kPlain, "size=4m,nr_inodes=256,mode=0755") != 0) {
      return failed("mount a tmpfs for the guest's files");
    }
    return Stage();
  }
  Stage(Stage&& other) noexcept : mounted_(std::exchange(other.mounted_, false)) {}
  Stage& operator=(Stage&&) = delete;
  // What was mounted from it keeps its files alive.
  ~Stage() {
    if (mounted_) ::umount2(kStage, MNT_DETACH);
  }

  // `name` is relative, and may have folders.
  static Step put(const std::string& name, std::string_view text) {
    const std::string path = std::string(kStage) + "/" + name;
    for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
      ::mkdir(path.substr(0, at).c_str(), 0755);
      ::chmod(path.substr(0, at).c_str(), 0755);  // Whatever the umask is.
    }
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file.valid()) return failed("create the guest's /etc/" + name);
    ::fchmod(file.get(), 0644);
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return failed("write the guest's /etc/" + name);
    }
    return {};
  }

 private:
  Stage() = default;
  bool mounted_ = true;
};

// The path with every link before its last part resolved; the last part itself may be one.
std::string with_real_folder(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::unique_ptr<char, decltype(&std::free)> folder(
      ::realpath(path.substr(0, slash + 1).c_str(), nullptr), &std::free);
  if (!folder) return path;
  const std::string_view real = folder.get();
  return std::string(real == "/" ? "" : real) + path.substr(slash);
}

Step mount_over_etc(std::span<const GuestFile> files) {
  auto stage = Stage::open();
  if (!stage) return std::unexpected(stage.error());
  for (const GuestFile& file : files) {
    if (auto done = Stage::put(file.path.substr(kEtc.size()), file.text); !done) return done;
  }
  const std::string layers = std::string("lowerdir=") + kStage + ":/etc,userxattr";
  if (::mount("sluice", "/etc", "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, layers.c_str()) != 0) {
    return failed("mount an overlay over /etc (files are covered one by one)");
  }
  return {};
}

std::string hint_for_missing(const std::string& path) {
  return "create " + path + ", or what its link leads to, to let the guest have ours";
}

bool is_mount_point(const char* path) {
  struct statx status{};
  return ::statx(AT_FDCWD, path, 0, 0, &status) == 0 &&
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

}  // namespace

std::expected<void, sys::SetupError> isolate_mounts() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0) return {};
  return failed("make mounts private");
}

std::expected<void, sys::SetupError> cover_file(const GuestFile& file) {
  // O_PATH follows links to the file that programs will read, before the stage hides it.
  const UniqueFd target(::open(file.path.c_str(), O_PATH | O_CLOEXEC));
  if (!target.valid()) {
    return std::unexpected(sys::SetupError{file.path + " (the guest keeps the system's)", errno,
                                           hint_for_missing(file.path)});
  }
  UniqueFd tree;
  {
    auto stage = Stage::open();
    if (!stage) return std::unexpected(stage.error());
    if (auto done = Stage::put("file", file.text); !done) return done;
    const std::string staged = std::string(kStage) + "/file";
    tree.reset(::open_tree(AT_FDCWD, staged.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!tree.valid()) return failed("clone the guest's " + file.path, "needs Linux 5.2 or later");
  }
  if (::move_mount(tree.get(), "", target.get(), "",
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return failed("mount over " + file.path);
  }
  return {};
}

bool is_covered(const GuestFile& file) { return is_mount_point(file.path.c_str()); }

ShownFiles show_files(std::span<const GuestFile> files, EtcView view) {
  ShownFiles shown;
  std::vector<GuestFile> below_etc;
  for (const GuestFile& file : files) {
    GuestFile real{with_real_folder(file.path), file.text};
    const bool overlaid = view == EtcView::kOverlay && real.path.starts_with(kEtc);
    (overlaid ? below_etc : shown.one_by_one).push_back(std::move(real));
  }
  if (!below_etc.empty()) {
    if (auto done = mount_over_etc(below_etc); !done) {
      shown.missing.push_back(done.error());
      shown.one_by_one.insert(shown.one_by_one.begin(), below_etc.begin(), below_etc.end());
    }
  }
  for (const GuestFile& file : shown.one_by_one) {
    if (auto done = cover_file(file); !done) shown.missing.push_back(done.error());
  }
  return shown;
}

std::expected<void, sys::SetupError> hide_folder(const std::string& path) {
  constexpr unsigned long kEmpty = kPlain | MS_RDONLY;
  if (::mount("sluice", path.c_str(), "tmpfs", kEmpty, "size=4k,nr_inodes=2,mode=0555") == 0) {
    return {};
  }
  return failed("hide " + path + " (the guest sees it, and may write there)");
}

std::expected<void, sys::SetupError> show_own_sys() {
  // Other file systems that are usually mounted in there: programs read their limits of cgroups.
  constexpr std::array kInside = {"/sys/fs/cgroup",           "/sys/fs/bpf",
                                  "/sys/fs/selinux",          "/sys/kernel/security",
                                  "/sys/kernel/debug",        "/sys/kernel/tracing",
                                  "/sys/kernel/config",       "/sys/fs/pstore",
                                  "/sys/fs/fuse/connections", "/sys/firmware/efi/efivars"};
  std::vector<std::pair<const char*, UniqueFd>> kept;
  for (const char* path : kInside) {
    if (!is_mount_point(path)) continue;
    UniqueFd tree(::open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
    if (tree.valid()) kept.emplace_back(path, std::move(tree));
  }
  if (::mount("sysfs", "/sys", "sysfs", kPlain, nullptr) != 0) {
    return failed("mount /sys (the command sees the system's, with its network interfaces)");
  }
  for (const auto& [path, tree] : kept) {
    if (::move_mount(tree.get(), "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) != 0) {
      return failed(std::string("mount ") + path + " again");
    }
  }
  return {};
}

std::expected<void, sys::SetupError> show_own_proc() {
  if (::mount("proc", "/proc", "proc", kPlain, nullptr) == 0) return {};
  return failed("mount /proc (the command sees the system's)");
}

}  // namespace sluice::netns
