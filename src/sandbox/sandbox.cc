#include "sandbox/sandbox.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <span>

#include "sandbox/capabilities.h"
#include "sandbox/landlock.h"

namespace sluice::sandbox {
namespace {

// Allowed with any arguments; the hottest first.
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
    SCMP_SYS(pread64), SCMP_SYS(ftruncate), SCMP_SYS(fsync), SCMP_SYS(fdatasync)};

constexpr std::uint64_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC;

constexpr std::array kConditional = {
    SeccompRule{SCMP_SYS(socket), 0, kWholeArgument, AF_INET},
    SeccompRule{SCMP_SYS(socket), 0, kWholeArgument, AF_INET6},
    SeccompRule{SCMP_SYS(mmap), 2, PROT_EXEC, 0}, SeccompRule{SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    SeccompRule{SCMP_SYS(ioctl), 1, kWholeArgument, SIOCINQ},
    SeccompRule{SCMP_SYS(ioctl), 1, kWholeArgument, SIOCOUTQ},
    SeccompRule{SCMP_SYS(ioctl), 1, kWholeArgument, SIOCGIFINDEX},  // Of a resolver's interface.
    SeccompRule{SCMP_SYS(ioctl), 1, kWholeArgument, TCGETS},  // isatty(), by stdio and the logger.
    // What a virtual machine's queues have in flight, for a front-end to keep.
    SeccompRule{SCMP_SYS(memfd_create), 1, kWholeArgument, MFD_CLOEXEC},
    SeccompRule{SCMP_SYS(fcntl), 1, kWholeArgument, F_DUPFD_CLOEXEC},
    SeccompRule{SCMP_SYS(fcntl), 1, kWholeArgument, F_GETFL},
    SeccompRule{SCMP_SYS(fcntl), 1, kWholeArgument, F_SETFL},
    SeccompRule{SCMP_SYS(fcntl), 1, kWholeArgument, F_GETPIPE_SZ},
    SeccompRule{SCMP_SYS(fcntl), 1, kWholeArgument, F_SETPIPE_SZ},
    SeccompRule{SCMP_SYS(prlimit64), 0, kWholeArgument, 0},  // Limits are of ourselves only.
};

// Refused with EACCES: the C library may want to read a file, and can do without. (What would write
// or make one is not asked for by anybody, and is not here.)
constexpr std::array kRefused = {
    SeccompRule{SCMP_SYS(open), 1, kWriting, O_RDONLY},
    SeccompRule{SCMP_SYS(openat), 2, kWriting, O_RDONLY},
};

// What the guest's agent does from its first order on: it has its netlink sockets already.
constexpr std::array kAgentAllowed = {
    // Orders, netlink, sockets.
    SCMP_SYS(recvmmsg), SCMP_SYS(ppoll), SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),
    SCMP_SYS(sendto), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(bind), SCMP_SYS(connect),
    SCMP_SYS(listen), SCMP_SYS(close), SCMP_SYS(write),
    // Time.
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    // The allocator, signals, the end.
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall), SCMP_SYS(getpid),
    SCMP_SYS(gettid), SCMP_SYS(exit), SCMP_SYS(exit_group)};

constexpr std::array kAgentConditional = {
    SeccompRule{SCMP_SYS(socket), 0, kWholeArgument, AF_INET},
    SeccompRule{SCMP_SYS(socket), 0, kWholeArgument, AF_INET6},
    SeccompRule{SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    SeccompRule{SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    SeccompRule{SCMP_SYS(prlimit64), 0, kWholeArgument, 0},  // Limits are of ourselves only.
};

// To ourselves only: abort(), and stopping with the command.
constexpr std::array kOfItself = {SCMP_SYS(kill), SCMP_SYS(tgkill)};

constexpr std::array<unsigned, 3> kHandOverCapabilities = {CAP_NET_ADMIN, CAP_NET_RAW,
                                                           CAP_NET_BIND_SERVICE};

constexpr std::array<unsigned, 1> kPortCapabilities = {CAP_NET_BIND_SERVICE};

// A filter of its own, beside the list: the descriptor `child` stays what it is, as whoever closed
// it could open another under its number, and a directory in /proc is as good as a pidfd. Nothing
// else that is allowed replaces a descriptor. Refused, not killed for: its owner closes it in the
// end.
std::expected<void, sys::SetupError> pin_descriptor(SeccompMode mode, int child) {
  if (child < 0) return {};
  const SeccompRule its_close{SCMP_SYS(close), 0, kIntArgument, static_cast<std::uint64_t>(child)};
  return load_deny_list(mode, std::array{SeccompRefusal{its_close, EPERM}});
}

// The filter refuses to open files as well. This holds where somebody looks for a missing call with
// the filter's log, and for files that a call reaches which nobody thought of.
std::expected<void, sys::SetupError> close_files(SeccompMode mode) {
  if (mode == SeccompMode::kOff) return {};
  if (auto done = confine_files({}, AbstractSockets::kOwn); !done)
    return std::unexpected(done.error());
  return {};
}

}  // namespace

std::expected<void, sys::SetupError> restrict_system_calls(SeccompMode mode, int child) {
  if (auto done = pin_descriptor(mode, child); !done) return done;
  return load_allow_list(mode, {.allowed = kAllowed,
                                .conditional = kConditional,
                                .refused = kRefused,
                                .of_itself = kOfItself,
                                .child = child});
}

std::expected<void, sys::SetupError> enter_sandbox(SeccompMode mode, int child, Rights rights) {
  const std::span<const unsigned> kept =
      rights == Rights::kPorts ? std::span(kPortCapabilities) : std::span<const unsigned>();
  if (auto done = drop_privileges_but(kept); !done) return done;
  if (auto done = close_files(mode); !done) return done;
  return restrict_system_calls(mode, child);
}

std::expected<void, sys::SetupError> enter_agent_sandbox(SeccompMode mode, AgentWork work) {
  std::span<const unsigned> kept = kPortCapabilities;
  if (work == AgentWork::kHandOvers) kept = kHandOverCapabilities;
  if (auto done = drop_privileges_but(kept); !done) return done;
  if (auto done = close_files(mode); !done) return done;
  return load_allow_list(
      mode, {.allowed = kAgentAllowed, .conditional = kAgentConditional, .of_itself = kOfItself});
}

}  // namespace sluice::sandbox
