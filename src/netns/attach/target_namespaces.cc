#include "netns/attach/target_namespaces.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

namespace sluice::netns {
namespace {

std::unexpected<sys::SetupError> failed(std::string step, int error, std::string hint = "") {
  return std::unexpected(sys::SetupError{std::move(step), error, std::move(hint)});
}

std::string hint_for(int error) {
  switch (error) {
    case EACCES:
    case EPERM: return "it is another user's; run as that user, or as root";
    case ENOENT:
    case ESRCH: return "it has ended, or was never there; 'lsns -t net' lists those of processes";
    default: return "";
  }
}

std::expected<UniqueFd, sys::SetupError> open_namespace(const std::string& path, int type) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return failed(fmt::format("open '{}'", path), errno, hint_for(errno));
  struct statfs system{};
  const bool is_namespace = ::fstatfs(fd.get(), &system) == 0 && system.f_type == NSFS_MAGIC;
  if (!is_namespace || ::ioctl(fd.get(), NS_GET_NSTYPE) != type) {
    return failed(
        fmt::format("'{}' is no {} namespace", path, type == CLONE_NEWNET ? "network" : "user"), 0,
        "expected a file as /proc/PID/ns/net or /run/netns/NAME");
  }
  return fd;
}

bool is_our_own(int fd, const char* ours) {
  struct stat own{};
  const auto id = namespace_of(fd);
  return id && ::stat(ours, &own) == 0 && *id == NamespaceId{own.st_dev, own.st_ino};
}

// Whose the network namespace is: to be joined first, unless that is where we are.
std::expected<UniqueFd, sys::SetupError> open_user(const TargetNames& names, int network) {
  constexpr const char* kOwn = "/proc/self/ns/user";
  if (names.only_network) return UniqueFd();
  if (!names.user.empty()) {
    auto given = open_namespace(names.user, CLONE_NEWUSER);
    if (given && is_our_own(given->get(), kOwn)) return UniqueFd();
    return given;
  }
  UniqueFd owner(::ioctl(network, NS_GET_USERNS));
  // It belongs to one above ours, which nobody but root there could join.
  if (!owner.valid() || is_our_own(owner.get(), kOwn)) return UniqueFd();
  (void)::fcntl(owner.get(), F_SETFD, FD_CLOEXEC);
  return owner;
}

}  // namespace

std::optional<NamespaceId> namespace_of(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return std::nullopt;
  return NamespaceId{status.st_dev, status.st_ino};
}

std::expected<TargetNamespaces, sys::SetupError> open_target(const TargetNames& names) {
  TargetNamespaces target;
  // Before its files, so that both are of one process.
  if (names.process) {
    target.process = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, *names.process, 0)));
    if (!target.process.valid()) {
      return failed(fmt::format("find process {}", *names.process), errno, hint_for(errno));
    }
  }
  const std::string path = names.network.empty()
                               ? fmt::format("/proc/{}/ns/net", names.process.value_or(0))
                               : names.network;
  auto network = open_namespace(path, CLONE_NEWNET);
  if (!network) return std::unexpected(network.error());
  if (is_our_own(network->get(), "/proc/self/ns/net")) {
    return failed(fmt::format("'{}' is the network namespace that we are in", path), 0,
                  "expected one of its own, as 'unshare -n' or 'ip netns add' make");
  }
  auto user = open_user(names, network->get());
  if (!user) return std::unexpected(user.error());
  target.id = namespace_of(network->get()).value_or(NamespaceId{});
  target.network = std::move(*network);
  target.user = std::move(*user);
  return target;
}

std::expected<void, sys::SetupError> join(const TargetNamespaces& target) {
  if (target.user.valid() && ::setns(target.user.get(), CLONE_NEWUSER) != 0) {
    return failed("join the user namespace", errno, hint_for(errno));
  }
  if (::setns(target.network.get(), CLONE_NEWNET) != 0) {
    return failed("join the network namespace", errno, hint_for(errno));
  }
  return {};
}

}  // namespace sluice::netns
