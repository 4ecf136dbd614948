#include "host/resolv_conf_mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace sluice::host {
namespace {

constexpr const char* kTarget = "/etc/resolv.conf";
// Covered by the tmpfs for a moment, in a mount namespace that no other process is in.
constexpr const char* kStage = "/etc";
constexpr const char* kStagedFile = "/etc/resolv.conf";

[[gnu::cold]] std::unexpected<SetupError> failed(const char* step, const char* hint = "") {
  return std::unexpected(SetupError{step, errno, hint});
}

std::expected<UniqueFd, SetupError> clone_staged_file(std::string_view contents) {
  {
    const UniqueFd file(::open(kStagedFile, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file.valid()) return failed("create the guest's resolv.conf");
    ::fchmod(file.get(), 0644);  // Whatever the umask is.
    if (::write(file.get(), contents.data(), contents.size()) !=
        static_cast<ssize_t>(contents.size())) {
      return failed("write the guest's resolv.conf");
    }
  }
  UniqueFd tree(::open_tree(AT_FDCWD, kStagedFile, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree.valid()) return failed("clone the guest's resolv.conf", "needs Linux 5.2 or later");
  return tree;
}

}  // namespace

std::expected<void, SetupError> isolate_mounts() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0) return {};
  return failed("make mounts private");
}

std::expected<void, SetupError> mount_resolv_conf(std::string_view contents) {
  // O_PATH follows links to the file that resolvers will read, before the stage hides it.
  const UniqueFd target(::open(kTarget, O_PATH | O_CLOEXEC));
  if (!target.valid()) {
    return failed("/etc/resolv.conf (the guest keeps the system's)",
                  "create the file, or the target of the link, to let the guest have our DNS");
  }
  if (::mount("sluice", kStage, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=64k,nr_inodes=8,mode=0755") != 0) {
    return failed("mount a tmpfs for resolv.conf");
  }
  const auto tree = clone_staged_file(contents);
  // The clone keeps the file alive; the stage itself goes.
  if (::umount2(kStage, MNT_DETACH) != 0) return failed("unmount the stage of resolv.conf");
  if (!tree) return std::unexpected(tree.error());
  if (::move_mount(tree->get(), "", target.get(), "",
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return failed("mount over /etc/resolv.conf");
  }
  return {};
}

}  // namespace sluice::host
