#include "sandbox/forward_sandbox.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>

#include "sandbox/landlock.h"

namespace sluice::sandbox {
namespace {

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
    // Files that are open: logs.
    SCMP_SYS(fstat), SCMP_SYS(lseek)};

constexpr std::uint64_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC;

constexpr std::array kWorkerConditional = {
    SeccompRule{SCMP_SYS(socket), 0, kWholeArgument, AF_INET},
    SeccompRule{SCMP_SYS(socket), 0, kWholeArgument, AF_INET6},
    SeccompRule{SCMP_SYS(socket), 0, kWholeArgument, AF_UNIX},
    SeccompRule{SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    SeccompRule{SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    SeccompRule{SCMP_SYS(ioctl), 1, kWholeArgument, SIOCINQ},
    SeccompRule{SCMP_SYS(ioctl), 1, kWholeArgument, SIOCOUTQ},
    SeccompRule{SCMP_SYS(ioctl), 1, kWholeArgument, TCGETS},  // isatty(), by stdio.
    SeccompRule{SCMP_SYS(fcntl), 1, kWholeArgument, F_GETFL},
    SeccompRule{SCMP_SYS(fcntl), 1, kWholeArgument, F_SETFL},
    SeccompRule{SCMP_SYS(fcntl), 1, kWholeArgument, F_GETPIPE_SZ},
    SeccompRule{SCMP_SYS(fcntl), 1, kWholeArgument, F_SETPIPE_SZ},
};

// Answered EACCES: the C library looks at files of the system (before it gives memory back, for
// one) and can do without. What would write or make one is not asked for by anybody.
constexpr std::array kWorkerRefused = {
    SeccompRule{SCMP_SYS(open), 1, kWriting, O_RDONLY},
    SeccompRule{SCMP_SYS(openat), 2, kWriting, O_RDONLY},
    SeccompRule{SCMP_SYS(stat), 0, 0, 0},
    SeccompRule{SCMP_SYS(newfstatat), 0, 0, 0},
    SeccompRule{SCMP_SYS(statx), 0, 0, 0},
};

// abort(), of this process.
constexpr std::array kWorkerOfItself = {SCMP_SYS(tgkill)};

}  // namespace

std::expected<void, sys::SetupError> confine_worker(SeccompMode mode) {
  if (mode == SeccompMode::kOff) return {};
  // Targets may be abstract sockets. One of the two holds where the kernel refuses the other.
  const auto files = confine_files({}, AbstractSockets::kAll);
  auto filtered = load_allow_list(mode, {.allowed = kWorkerCalls,
                                         .conditional = kWorkerConditional,
                                         .refused = kWorkerRefused,
                                         .of_itself = kWorkerOfItself});
  if (filtered && !files) return std::unexpected(files.error());
  return filtered;
}

}  // namespace sluice::sandbox
