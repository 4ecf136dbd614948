#include "sandbox/box_sandbox.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <seccomp.h>
#include <sys/mman.h>

#include <array>

#include "sandbox/capabilities.h"
#include "sandbox/landlock.h"

namespace sluice::sandbox {
namespace {

constexpr std::array kVcpuCalls = {
    // Eventfds, the serial port's sink, locks, time where the vDSO cannot tell it.
    SCMP_SYS(write), SCMP_SYS(read), SCMP_SYS(writev), SCMP_SYS(futex), SCMP_SYS(fstat),
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
    // The allocator, signals, the thread's end.
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(getrandom),
    SCMP_SYS(sched_yield), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(sigaltstack),
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(restart_syscall), SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq), SCMP_SYS(exit), SCMP_SYS(exit_group)};

constexpr std::array kVcpuConditional = {
    SeccompRule{SCMP_SYS(ioctl), 1, kIntArgument, KVM_RUN},
    SeccompRule{SCMP_SYS(ioctl), 1, kIntArgument, KVM_GET_REGS},  // Where it stands, for an error.
    SeccompRule{SCMP_SYS(ioctl), 1, kIntArgument, TCGETS},        // isatty(), by stdio.
    SeccompRule{SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    SeccompRule{SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
};

constexpr std::array kDeviceCalls = {
    // Standard streams and sockets of file servers; an output that is given up is replaced.
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(poll),
    SCMP_SYS(ppoll), SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(dup3), SCMP_SYS(fstat),
    // Locks, time where the vDSO cannot tell it.
    SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
    // The allocator, signals, the thread's end.
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(getrandom),
    SCMP_SYS(sched_yield), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(sigaltstack),
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(restart_syscall), SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq), SCMP_SYS(exit), SCMP_SYS(exit_group)};

// waitid(2) by a descriptor: P_PIDFD, of a child.
constexpr std::uint64_t kByPidfd = 3;

constexpr std::array kDeviceConditional = {
    SeccompRule{SCMP_SYS(ioctl), 1, kIntArgument, KVM_IRQ_LINE},
    SeccompRule{SCMP_SYS(ioctl), 1, kIntArgument, TIOCGWINSZ},
    SeccompRule{SCMP_SYS(ioctl), 1, kIntArgument, TIOCGPGRP},  // Whether it is ours.
    SeccompRule{SCMP_SYS(ioctl), 1, kIntArgument, TCGETS},     // isatty(), by stdio.
    SeccompRule{SCMP_SYS(waitid), 0, kIntArgument, kByPidfd},
    SeccompRule{SCMP_SYS(fcntl), 1, kIntArgument, F_GETFL},
    SeccompRule{SCMP_SYS(fcntl), 1, kIntArgument, F_SETFL},
    SeccompRule{SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    SeccompRule{SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
};

constexpr std::uint64_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC;

// Answered EACCES: the C library looks at files of the system, and can do without.
constexpr std::array kRefused = {
    SeccompRule{SCMP_SYS(open), 1, kWriting, O_RDONLY},
    SeccompRule{SCMP_SYS(openat), 2, kWriting, O_RDONLY},
    SeccompRule{SCMP_SYS(stat), 0, 0, 0},
    SeccompRule{SCMP_SYS(newfstatat), 0, 0, 0},
    SeccompRule{SCMP_SYS(statx), 0, 0, 0},
};

// A vCPU that ends the machine signals the others; abort().
constexpr std::array kOfItself = {SCMP_SYS(tgkill)};

std::expected<void, sys::SetupError> confine(SeccompMode mode, const SeccompAllowList& list) {
  if (auto done = drop_privileges(); !done) return done;
  if (mode == SeccompMode::kOff) return {};
  if (auto files = confine_files({}, AbstractSockets::kOwn); !files) {
    return std::unexpected(files.error());
  }
  return load_allow_list(mode, list);
}

}  // namespace

std::expected<void, sys::SetupError> confine_vcpu(SeccompMode mode) {
  return confine(mode, {.allowed = kVcpuCalls,
                        .conditional = kVcpuConditional,
                        .refused = kRefused,
                        .of_itself = kOfItself});
}

std::expected<void, sys::SetupError> confine_device_thread(SeccompMode mode) {
  return confine(mode, {.allowed = kDeviceCalls,
                        .conditional = kDeviceConditional,
                        .refused = kRefused,
                        .of_itself = kOfItself});
}

}  // namespace sluice::sandbox
