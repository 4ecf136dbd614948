#include "host/sandbox.h"

#include <asm/ioctls.h>
#include <cap-ng.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "host/landlock.h"

namespace sluice::host {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

// Allowed with any arguments. The first ones are the hottest: libseccomp puts them first where it
// builds no tree.
constexpr std::array kAllowed = {
    // The data path.
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
    SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_create1), SCMP_SYS(close), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen),
    SCMP_SYS(accept4), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(splice), SCMP_SYS(tee), SCMP_SYS(pipe2),
    SCMP_SYS(poll), SCMP_SYS(ppoll),
    // Time, where the vDSO cannot tell it.
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    // The allocator, locks, seeds.
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
    SCMP_SYS(getrandom), SCMP_SYS(sysinfo), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_yield),
    // Signals and the command's end.
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(sigaltstack),
    SCMP_SYS(signalfd4), SCMP_SYS(restart_syscall), SCMP_SYS(waitid), SCMP_SYS(exit),
    SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
    SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getrusage),
    // Files that are open: logs, captures.
    SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(lseek),
    SCMP_SYS(pread64), SCMP_SYS(fsync), SCMP_SYS(fdatasync)};

// Allowed only when (argument & mask) == value.
struct Conditional {
  int call;
  unsigned argument;
  std::uint64_t mask;
  std::uint64_t value;
};

constexpr std::uint64_t kAll = ~std::uint64_t{0};
constexpr std::uint64_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC;

constexpr std::array kConditional = {
    Conditional{SCMP_SYS(socket), 0, kAll, AF_INET},
    Conditional{SCMP_SYS(socket), 0, kAll, AF_INET6},
    Conditional{SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    Conditional{SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    Conditional{SCMP_SYS(ioctl), 1, kAll, SIOCINQ},
    Conditional{SCMP_SYS(ioctl), 1, kAll, SIOCOUTQ},
    Conditional{SCMP_SYS(ioctl), 1, kAll, SIOCGIFINDEX},  // Of a resolver's interface.
    Conditional{SCMP_SYS(ioctl), 1, kAll, TCGETS},        // isatty(), by stdio and the logger.
    Conditional{SCMP_SYS(fcntl), 1, kAll, F_GETFL},
    Conditional{SCMP_SYS(fcntl), 1, kAll, F_SETFL},
    Conditional{SCMP_SYS(fcntl), 1, kAll, F_GETPIPE_SZ},
    Conditional{SCMP_SYS(fcntl), 1, kAll, F_SETPIPE_SZ},
};

// Refused with EACCES: the C library may want to read a file, and can do without. (What would write
// or make one is not asked for by anybody, and is not here.)
constexpr std::array kRefused = {
    Conditional{SCMP_SYS(open), 1, kWriting, O_RDONLY},
    Conditional{SCMP_SYS(openat), 2, kWriting, O_RDONLY},
};

// What the guest's agent does from its first order on: it has its netlink sockets already.
constexpr std::array kAgentAllowed = {
    // Orders, netlink, sockets.
    SCMP_SYS(recvmmsg), SCMP_SYS(ppoll), SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),
    SCMP_SYS(sendto), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(bind), SCMP_SYS(connect),
    SCMP_SYS(close), SCMP_SYS(write),
    // Time.
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    // The allocator, signals, the end.
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall), SCMP_SYS(getpid),
    SCMP_SYS(gettid), SCMP_SYS(exit), SCMP_SYS(exit_group)};

constexpr std::array kAgentConditional = {
    Conditional{SCMP_SYS(socket), 0, kAll, AF_INET},
    Conditional{SCMP_SYS(socket), 0, kAll, AF_INET6},
    Conditional{SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    Conditional{SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
};

constexpr std::array<unsigned, 3> kAgentCapabilities = {CAP_NET_ADMIN, CAP_NET_RAW,
                                                        CAP_NET_BIND_SERVICE};

std::unexpected<SetupError> failed(const char* step, int error) {
  return std::unexpected(SetupError{step, error, ""});
}

struct FilterDeleter {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FilterDeleter>;

// What a process may call.
struct CallList {
  std::span<const int> allowed;
  std::span<const Conditional> conditional;
  std::span<const Conditional> refused = {};
  int child = -1;  // The pidfd by which signals may be sent; negative: none.
};

// Descriptors are numbers of 32 bits to the kernel: what stands above them does not count.
constexpr std::uint64_t kLow = 0xffff'ffff;

scmp_arg_cmp is(unsigned argument, std::uint64_t mask, std::uint64_t value) {
  return {.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

int add_rule(void* filter, std::uint32_t action, const Conditional& rule) {
  const scmp_arg_cmp condition = is(rule.argument, rule.mask, rule.value);
  return ::seccomp_rule_add_array(filter, action, rule.call, 1, &condition);
}

// A negative errno from libseccomp, or 0.
int add_rules(void* filter, const CallList& calls) {
  for (const int call : calls.allowed) {
    if (const int rc = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0); rc != 0) return rc;
  }
  for (const Conditional& rule : calls.conditional) {
    if (const int rc = add_rule(filter, SCMP_ACT_ALLOW, rule); rc != 0) return rc;
  }
  for (const Conditional& rule : calls.refused) {
    if (const int rc = add_rule(filter, SCMP_ACT_ERRNO(EACCES), rule); rc != 0) return rc;
  }
  if (calls.child >= 0) {
    // No flags: one of them would signal the child's whole process group, which is ours too.
    const std::array only_child{is(0, kLow, static_cast<std::uint64_t>(calls.child)),
                                is(3, kLow, 0)};
    if (const int rc = ::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(pidfd_send_signal),
                                                only_child.size(), only_child.data());
        rc != 0) {
      return rc;
    }
  }
  // To ourselves only: abort(), and stopping with the command.
  const scmp_arg_cmp self{
      .arg = 0, .op = SCMP_CMP_EQ, .datum_a = static_cast<std::uint64_t>(::getpid()), .datum_b = 0};
  for (const int call : {SCMP_SYS(kill), SCMP_SYS(tgkill)}) {
    if (const int rc = ::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &self); rc != 0) {
      return rc;
    }
  }
  // Limits are read or changed of ourselves only.
  const scmp_arg_cmp own{.arg = 0, .op = SCMP_CMP_EQ, .datum_a = 0, .datum_b = 0};
  return ::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, &own);
}

std::expected<void, SetupError> drop_privileges_but(std::span<const unsigned> kept) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("set no_new_privs", errno);
  if (::capng_get_caps_process() != 0) return failed("read our capabilities", errno);
  // Only CAP_SETPCAP may lower the bounding set. Without it, no_new_privs does as well.
  const bool may_lower_bounds = ::capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
  std::vector<unsigned> held;
  for (const unsigned capability : kept) {
    if (::capng_have_capability(CAPNG_PERMITTED, capability) != 0) held.push_back(capability);
  }
  ::capng_clear(CAPNG_SELECT_ALL);
  for (const unsigned capability : held) {
    ::capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED),
                   capability);
  }
  if (may_lower_bounds && ::capng_apply(CAPNG_SELECT_BOUNDS) != 0) {
    return failed("lower the capability bounding set", errno);
  }
  if (::capng_apply(CAPNG_SELECT_CAPS) != 0 || ::capng_apply(CAPNG_SELECT_AMBIENT) != 0) {
    return failed("drop capabilities", errno);
  }
  // The leak sanitizer traces its own process.
  if (!kSanitized && ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return failed("make the process undumpable", errno);
  }
  return {};
}

std::uint32_t refusal_in(SeccompMode mode) {
  return mode == SeccompMode::kLog ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS;
}

// A filter of its own, beside the list: the descriptor `child` stays what it is, as whoever closed
// it could open another under its number, and a directory in /proc is as good as a pidfd. Nothing
// else that is allowed replaces a descriptor. Refused, not killed for: its owner closes it in the
// end.
std::expected<void, SetupError> pin_descriptor(SeccompMode mode, int child) {
  if (mode == SeccompMode::kOff || child < 0) return {};
  const Filter filter(::seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) return failed("create a seccomp filter", ENOMEM);
  const Conditional its_close{SCMP_SYS(close), 0, kLow, static_cast<std::uint64_t>(child)};
  if (const int rc = add_rule(filter.get(), SCMP_ACT_ERRNO(EPERM), its_close); rc != 0) {
    return failed("build a seccomp filter", -rc);
  }
  if (const int rc = ::seccomp_load(filter.get()); rc != 0) {
    return failed("load the seccomp filter", -rc);
  }
  return {};
}

std::expected<void, SetupError> load_filter(SeccompMode mode, const CallList& calls) {
  if (mode == SeccompMode::kOff) return {};
  const Filter filter(::seccomp_init(refusal_in(mode)));
  if (!filter) return failed("create a seccomp filter", ENOMEM);
  if (mode == SeccompMode::kLog) {
    // Missing before Linux 4.14; the calls then fail without a line in the log.
    (void)::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_LOG, 1);
  }
  // A binary tree by number: the cost of a call does not grow with the list.
  (void)::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (const int rc = add_rules(filter.get(), calls); rc != 0)
    return failed("build a seccomp filter", -rc);
  if (const int rc = ::seccomp_load(filter.get()); rc != 0) {
    return failed("load the seccomp filter", -rc);
  }
  return {};
}

// The filter refuses to open files as well. This holds where somebody looks for a missing call with
// the filter's log, and for files that a call reaches which nobody thought of.
std::expected<void, SetupError> close_files(SeccompMode mode) {
  if (mode == SeccompMode::kOff) return {};
  if (auto done = confine_files({}); !done) return std::unexpected(done.error());
  return {};
}

}  // namespace

SeccompMode seccomp_mode_from_environment() {
  if constexpr (kSanitized) return SeccompMode::kOff;
  const char* value = ::getenv("SLUICE_SECCOMP");
  if (value == nullptr) return SeccompMode::kKill;
  if (std::string_view(value) == "log") return SeccompMode::kLog;
  if (std::string_view(value) == "off") return SeccompMode::kOff;
  return SeccompMode::kKill;
}

std::expected<void, SetupError> drop_privileges() { return drop_privileges_but({}); }

std::expected<void, SetupError> restrict_system_calls(SeccompMode mode, int child) {
  if (auto done = pin_descriptor(mode, child); !done) return done;
  return load_filter(
      mode,
      {.allowed = kAllowed, .conditional = kConditional, .refused = kRefused, .child = child});
}

std::expected<void, SetupError> enter_sandbox(SeccompMode mode, int child) {
  if (auto done = drop_privileges(); !done) return done;
  if (auto done = close_files(mode); !done) return done;
  return restrict_system_calls(mode, child);
}

std::expected<void, SetupError> enter_agent_sandbox(SeccompMode mode) {
  if (auto done = drop_privileges_but(kAgentCapabilities); !done) return done;
  if (auto done = close_files(mode); !done) return done;
  return load_filter(mode, {.allowed = kAgentAllowed, .conditional = kAgentConditional});
}

}  // namespace sluice::host
