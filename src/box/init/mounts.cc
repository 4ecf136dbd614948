#include "box/init/mounts.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>

#include "base/unique_fd.h"

namespace sluice::box {
namespace {

constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr unsigned long kReadOnly = MS_RDONLY;
constexpr const char* kLower = "/lower";
constexpr const char* kPlainLower = "/plain";
constexpr const char* kUpper = "/upper";
constexpr const char* kRoot = "/root";

struct Mount {
  const char* kind;
  std::string where;
  unsigned long flags = 0;
  std::string options = {};
  const char* source = "sluice";
};

Step mount(const Mount& plan, const char* hint = "") {
  if (auto made = make_directories(plan.where); !made) return made;
  if (::mount(plan.source, plan.where.c_str(), plan.kind, plan.flags, plan.options.c_str()) == 0) {
    return {};
  }
  return step_failed(std::string("mount ") + plan.kind + " at " + plan.where, hint);
}

// Whether effective CAP_FOWNER is there. The rest of our rights stay.
Step set_owner_right(bool wanted) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  constexpr unsigned kBit = 1U << unsigned{CAP_FOWNER};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return step_failed("read our rights");
  sets[0].effective = wanted ? sets[0].effective | kBit : sets[0].effective & ~kBit;
  if (::syscall(SYS_capset, &header, sets.data()) != 0) return step_failed("change our rights");
  return {};
}

// An overlay opens what is below it with O_NOATIME, where whoever mounted it may do that with
// anybody's file (Linux, ovl_open_realfile). A server of files that is not root may not, and the C
// one of the two passes the flag on. So an overlay between, mounted without that right, takes the
// flag away; it needs a second folder below, which is empty.
Step mount_plain(const std::string& where) {
  const std::string empty = std::string(kUpper) + "/empty";
  if (auto made = make_directories(empty); !made) return made;
  if (auto done = set_owner_right(false); !done) return done;
  const Step mounted = mount({.kind = "overlay",
                              .where = where,
                              .flags = kReadOnly,
                              .options = std::string("lowerdir=") + kLower + ":" + empty});
  if (auto done = set_owner_right(true); !done) return done;
  return mounted;
}

Step mount_overlay(const Setup& setup) {
  const std::string size =
      setup.overlay_bytes == 0 ? "" : ",size=" + std::to_string(setup.overlay_bytes);
  if (auto done = mount({.kind = "tmpfs", .where = kUpper, .options = "mode=0755" + size}); !done) {
    return done;
  }
  const std::string upper = std::string(kUpper) + "/files";
  const std::string work = std::string(kUpper) + "/work";
  for (const std::string& folder : {upper, work}) {
    if (auto made = make_directories(folder); !made) return made;
  }
  // As the directory below it is, for who may write to the root itself.
  struct stat below{};
  if (::stat(kLower, &below) == 0) ::chmod(upper.c_str(), below.st_mode & 07777U);
  std::string lower = kLower;
  // Root's own, seen from outside of root's user namespace, is nobody's.
  if (below.st_uid != 0) {
    lower = kPlainLower;
    if (auto done = mount_plain(lower); !done) return done;
  }
  // redirect_dir: a directory of the host's can be renamed in the guest.
  return mount({.kind = "overlay",
                .where = kRoot,
                .options = "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work +
                           ",redirect_dir=on"});
}

// What hangs on the console's driver is opened again where the command looks for it.
Step mount_devices() {
  if (auto done =
          mount({.kind = "devtmpfs", .where = "/dev", .flags = MS_NOSUID, .options = "mode=0755"});
      !done) {
    return done;
  }
  // Group 5 is tty by the Linux Standard Base's tradition, and in Debian.
  if (auto done = mount({.kind = "devpts",
                         .where = "/dev/pts",
                         .flags = MS_NOSUID | MS_NOEXEC,
                         .options = "gid=5,mode=0620,ptmxmode=0666"});
      !done) {
    return done;
  }
  struct Link {
    const char* target;
    const char* path;
  };
  for (const Link& link :
       {Link{"/proc/self/fd", "/dev/fd"}, Link{"/proc/self/fd/0", "/dev/stdin"},
        Link{"/proc/self/fd/1", "/dev/stdout"}, Link{"/proc/self/fd/2", "/dev/stderr"}}) {
    if (::symlink(link.target, link.path) != 0 && errno != EEXIST) {
      return step_failed(std::string("make ") + link.path);
    }
  }
  return mount({.kind = "tmpfs",
                .where = "/dev/shm",
                .flags = MS_NOSUID | MS_NODEV,
                .options = "mode=1777"});
}

Step make_run(const Setup& setup) {
  if (auto done = mount({.kind = "tmpfs",
                         .where = "/run",
                         .flags = MS_NOSUID | MS_NODEV,
                         .options = "mode=0755"});
      !done) {
    return done;
  }
  const std::string own = "/run/user/" + std::to_string(setup.uid);
  for (const std::string& folder : {std::string("/run/lock"), own}) {
    if (auto made = make_directories(folder); !made) return made;
  }
  if (::chmod("/run/lock", 01777) != 0 || ::chown(own.c_str(), setup.uid, setup.gid) != 0 ||
      ::chmod(own.c_str(), 0700) != 0) {
    return step_failed("give " + own + " to the command's user");
  }
  return {};
}

Step write_whole(const std::string& path, const std::string& text) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return step_failed("show " + path);
  if (auto made = make_directories(path.substr(0, slash)); slash > 0 && !made) return made;
  // A link there leads to what may not be writable; the name itself is ours to give.
  const std::string fresh = path + ".sluice";
  const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return step_failed("make " + path);
  ::fchmod(file.get(), 0644);
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t sent = ::write(file.get(), text.data() + written, text.size() - written);
    if (sent < 0) return step_failed("write " + path);
    written += static_cast<std::size_t>(sent);
  }
  if (std::rename(fresh.c_str(), path.c_str()) == 0) return {};
  return step_failed("show " + path);
}

}  // namespace

Step mount_early() {
  for (const Mount& plan : {Mount{.kind = "proc", .where = "/proc", .flags = kPlain},
                            Mount{.kind = "sysfs", .where = "/sys", .flags = kPlain},
                            Mount{.kind = "devtmpfs", .where = "/dev", .flags = MS_NOSUID}}) {
    if (auto done = mount(plan); !done) return done;
  }
  return {};
}

Step enter_root(const Setup& setup) {
  if (auto done =
          mount({.kind = "virtiofs", .where = kLower, .flags = MS_RDONLY, .source = kRootTag},
                "the kernel needs virtiofs, built in or as a module");
      !done) {
    return done;
  }
  if (auto done = mount_overlay(setup); !done) return done;
  // As switch_root(8): what stays below is the first file system, which cannot be unmounted.
  if (::chdir(kRoot) != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 ||
      ::chroot(".") != 0 || ::chdir("/") != 0) {
    return step_failed("enter the guest's root");
  }
  return {};
}

std::expected<std::vector<sys::SetupError>, sys::SetupError> mount_system(const Setup& setup) {
  for (const Mount& plan : {Mount{.kind = "proc", .where = "/proc", .flags = kPlain},
                            Mount{.kind = "sysfs", .where = "/sys", .flags = kPlain}}) {
    if (auto done = mount(plan); !done) return std::unexpected(done.error());
  }
  if (auto done = mount_devices(); !done) return std::unexpected(done.error());
  if (auto done = make_run(setup); !done) return std::unexpected(done.error());
  std::vector<sys::SetupError> warnings;
  const auto warn_of = [&warnings](const Step& done) {
    if (!done) warnings.push_back(done.error());
  };
  // Kernels of one's own may lack it.
  warn_of(mount({.kind = "cgroup2", .where = "/sys/fs/cgroup", .flags = kPlain}));
  if (::mkdir("/tmp", 01777) == 0) ::chmod("/tmp", 01777);
  return warnings;
}

std::vector<sys::SetupError> show_files(const Setup& setup) {
  std::vector<sys::SetupError> warnings;
  for (const FileText& file : setup.files) {
    if (auto done = write_whole(file.path, file.text); !done) warnings.push_back(done.error());
  }
  if (!setup.host_name.empty() &&
      ::sethostname(setup.host_name.data(), setup.host_name.size()) != 0) {
    warnings.push_back(step_failed("set the host's name").error());
  }
  return warnings;
}

Step mount_shares(const Setup& setup) {
  for (const Share& share : setup.shares) {
    auto done = mount({.kind = "virtiofs",
                       .where = share.target,
                       .flags = share.writable ? 0UL : kReadOnly,
                       .source = share.tag.c_str()});
    if (!done) return done;
  }
  return {};
}

}  // namespace sluice::box
