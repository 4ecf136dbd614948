#include "host/forward_sandbox.h"

#include <asm/ioctls.h>
#include <cap-ng.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <vector>

namespace sluice::host {
namespace {

constexpr std::array<unsigned, 3> kNetworkCapabilities = {CAP_NET_BIND_SERVICE, CAP_NET_ADMIN,
                                                          CAP_NET_RAW};

// Allowed with any arguments; the hottest first.
constexpr std::array kWorkerCalls = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
    SCMP_SYS(splice), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl), SCMP_SYS(close), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(accept4),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown), SCMP_SYS(pipe2), SCMP_SYS(poll), SCMP_SYS(ppoll),
    // Time, where the vDSO cannot tell it.
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    // The allocator, locks, seeds, the thread's end.
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
    SCMP_SYS(getrandom), SCMP_SYS(sysinfo), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_yield),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getpid),
    SCMP_SYS(gettid), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
    // The time zone, of logs in local time.
    SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(lseek)};

// Allowed only when (argument & mask) == value.
struct Conditional {
  int call;
  unsigned argument;
  std::uint64_t mask;
  std::uint64_t value;
};

constexpr std::uint64_t kAll = ~std::uint64_t{0};
constexpr std::uint64_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC;

constexpr std::array kWorkerConditional = {
    Conditional{SCMP_SYS(socket), 0, kAll, AF_INET},
    Conditional{SCMP_SYS(socket), 0, kAll, AF_INET6},
    Conditional{SCMP_SYS(socket), 0, kAll, AF_UNIX},
    Conditional{SCMP_SYS(openat), 2, kWriting, O_RDONLY},
    Conditional{SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    Conditional{SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    Conditional{SCMP_SYS(ioctl), 1, kAll, SIOCINQ},
    Conditional{SCMP_SYS(ioctl), 1, kAll, SIOCOUTQ},
    Conditional{SCMP_SYS(ioctl), 1, kAll, TCGETS},  // isatty(), by stdio.
    Conditional{SCMP_SYS(fcntl), 1, kAll, F_GETFL},
    Conditional{SCMP_SYS(fcntl), 1, kAll, F_SETFL},
    Conditional{SCMP_SYS(fcntl), 1, kAll, F_GETPIPE_SZ},
    Conditional{SCMP_SYS(fcntl), 1, kAll, F_SETPIPE_SZ},
};

std::unexpected<SetupError> failed(const char* step, int error) {
  return std::unexpected(SetupError{step, error, ""});
}

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  // The largest means "leave it as it is" to the kernel.
  if (error != std::errc{} || end != text.data() + text.size() || number == UINT32_MAX) {
    return std::nullopt;
  }
  return number;
}

// A negative errno from libseccomp, or 0.
int add_worker_rules(void* filter) {
  for (const int call : kWorkerCalls) {
    if (const int rc = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0); rc != 0) return rc;
  }
  for (const Conditional& rule : kWorkerConditional) {
    const scmp_arg_cmp condition{.arg = rule.argument,
                                 .op = SCMP_CMP_MASKED_EQ,
                                 .datum_a = rule.mask,
                                 .datum_b = rule.value};
    if (const int rc = ::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule.call, 1, &condition);
        rc != 0) {
      return rc;
    }
  }
  // To ourselves only: abort().
  const scmp_arg_cmp self{
      .arg = 0, .op = SCMP_CMP_EQ, .datum_a = static_cast<std::uint64_t>(::getpid()), .datum_b = 0};
  return ::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &self);
}

}  // namespace

std::expected<Identity, std::string> find_identity(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string user(text.substr(0, colon));
  Identity identity{.name = std::string(text)};
  const auto number = number_of(user);
  if (const passwd* const entry = ::getpwnam(user.c_str()); entry != nullptr) {
    identity.uid = entry->pw_uid;
    identity.gid = entry->pw_gid;
  } else if (number) {
    identity.uid = *number;
    identity.gid = *number;
  } else {
    return std::unexpected("there is no user '" + user + "'");
  }
  if (colon == std::string_view::npos) return identity;
  const std::string group(text.substr(colon + 1));
  if (const struct group* const entry = ::getgrnam(group.c_str()); entry != nullptr) {
    identity.gid = entry->gr_gid;
  } else if (const auto gid = number_of(group)) {
    identity.gid = *gid;
  } else {
    return std::unexpected("there is no group '" + group + "'");
  }
  return identity;
}

std::expected<void, SetupError> change_user(const Identity& identity, NetworkRights rights) {
  if (::capng_get_caps_process() != 0) return failed("read our capabilities", errno);
  std::vector<unsigned> held;
  const std::size_t count = rights == NetworkRights::kAll ? kNetworkCapabilities.size() : 1;
  for (std::size_t i = 0; i < count; ++i) {
    if (::capng_have_capability(CAPNG_PERMITTED, kNetworkCapabilities[i]) != 0) {
      held.push_back(kNetworkCapabilities[i]);
    }
  }
  const bool may_lower_bounds = ::capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
  ::capng_clear(CAPNG_SELECT_ALL);
  for (const unsigned capability : held) {
    // Ambient: a program that we hand over to opens listeners as we do.
    ::capng_update(CAPNG_ADD,
                   static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE |
                                             CAPNG_BOUNDING_SET | CAPNG_AMBIENT),
                   capability);
  }
  if (may_lower_bounds && ::capng_apply(CAPNG_SELECT_BOUNDS) != 0) {
    return failed("lower the capability bounding set", errno);
  }
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return failed("keep capabilities", errno);
  if (::setgroups(0, nullptr) != 0) return failed("leave our groups", errno);
  if (::setresgid(identity.gid, identity.gid, identity.gid) != 0) {
    return failed("change the group", errno);
  }
  if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) {
    return failed("change the user", errno);
  }
  if (::capng_apply(CAPNG_SELECT_CAPS) != 0 || ::capng_apply(CAPNG_SELECT_AMBIENT) != 0) {
    return failed("drop capabilities", errno);
  }
  return {};
}

std::expected<void, SetupError> refuse_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("set no_new_privs", errno);
  return {};
}

std::expected<void, SetupError> confine_worker(SeccompMode mode) {
  if (mode == SeccompMode::kOff) return {};
  const std::uint32_t refuse =
      mode == SeccompMode::kLog ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS;
  const std::unique_ptr<void, decltype(&::seccomp_release)> filter(::seccomp_init(refuse),
                                                                   &::seccomp_release);
  if (!filter) return failed("create a seccomp filter", ENOMEM);
  // Missing before Linux 4.14; the calls then fail without a line in the log.
  if (mode == SeccompMode::kLog) (void)::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_LOG, 1);
  // A binary tree by number: the cost of a call does not grow with the list.
  (void)::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (const int rc = add_worker_rules(filter.get()); rc != 0) {
    return failed("build a seccomp filter", -rc);
  }
  if (const int rc = ::seccomp_load(filter.get()); rc != 0) {
    return failed("load the seccomp filter", -rc);
  }
  return {};
}

}  // namespace sluice::host
