#include "sandbox/supervisor_sandbox.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <vector>

#include "sandbox/landlock.h"

namespace sluice::sandbox {
namespace {

// With any arguments.
constexpr std::array kRefusedCalls = {
    // Other processes: their memory, descriptors, ends.
    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise), SCMP_SYS(process_mrelease), SCMP_SYS(kcmp), SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_send_signal), SCMP_SYS(move_pages), SCMP_SYS(migrate_pages), SCMP_SYS(tkill),
    SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo),
    // Namespaces and mounts.
    SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(mount_setattr),
    SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
    SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at), SCMP_SYS(fanotify_init),
    SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(quotactl), SCMP_SYS(quotactl_fd),
    // Another user.
    SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid),
    SCMP_SYS(setresgid), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid), SCMP_SYS(setgroups),
    // Code in the kernel, and the machine as a whole.
    SCMP_SYS(bpf), SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon),
    SCMP_SYS(swapoff), SCMP_SYS(acct), SCMP_SYS(syslog), SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname), SCMP_SYS(settimeofday), SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(vhangup), SCMP_SYS(iopl),
    SCMP_SYS(ioperm), SCMP_SYS(modify_ldt), SCMP_SYS(personality),
    // Large interfaces of the kernel that we have no use for.
    SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl), SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register)};

constexpr std::uint64_t kIntSign = 0x8000'0000;
constexpr std::array kRefusedConditional = {
    // Signals to process groups. One to a process passes here, since filters cannot tell our
    // children from others, and a hand-over that hangs must be ended; Landlock can.
    SeccompRule{SCMP_SYS(kill), 0, kIntArgument, 0},
    SeccompRule{SCMP_SYS(kill), 0, kIntSign, kIntSign},
    // Signals that the kernel sends in our place.
    SeccompRule{SCMP_SYS(fcntl), 1, kIntArgument, F_SETOWN},
    SeccompRule{SCMP_SYS(fcntl), 1, kIntArgument, F_SETOWN_EX},
    SeccompRule{SCMP_SYS(fcntl), 1, kIntArgument, F_SETSIG},
    SeccompRule{SCMP_SYS(ioctl), 1, kIntArgument, FIOSETOWN},
    SeccompRule{SCMP_SYS(ioctl), 1, kIntArgument, SIOCSPGRP},
    // Words that are put into the terminal as if its user had typed them.
    SeccompRule{SCMP_SYS(ioctl), 1, kIntArgument, TIOCSTI},
    SeccompRule{SCMP_SYS(ioctl), 1, kIntArgument, TIOCLINUX},
    SeccompRule{SCMP_SYS(prctl), 0, kIntArgument, PR_SET_PTRACER},
};

constexpr std::uint64_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                         CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
// Where another process's limits or scheduling could be changed, argument 0 must be ourselves.
constexpr std::array kOfOthers = {SCMP_SYS(prlimit64), SCMP_SYS(sched_setaffinity),
                                  SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_setparam),
                                  SCMP_SYS(sched_setattr)};

constexpr bool is_family_of_ours(int family) {
  return family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
}

// Refuses the call where its argument has one of these bits.
void refuse_any_bit(std::vector<SeccompRefusal>& list, int call, std::uint64_t bits) {
  for (std::uint64_t bit = 1; bit != 0; bit <<= 1) {
    if ((bits & bit) != 0) list.push_back({{call, 0, bit, bit}, EPERM});
  }
}

void refuse_other_families(std::vector<SeccompRefusal>& list, int call) {
  constexpr int kFamilies = 64;  // Far more than there are; what is above has a higher bit.
  for (int family = 0; family < kFamilies; ++family) {
    if (is_family_of_ours(family)) continue;
    const auto value = static_cast<std::uint64_t>(family);
    list.push_back({{call, 0, kIntArgument, value}, EAFNOSUPPORT});
  }
  refuse_any_bit(list, call, kIntArgument & ~std::uint64_t{kFamilies - 1});
}

std::vector<SeccompRefusal> refusals() {
  std::vector<SeccompRefusal> list;
  for (const int call : kRefusedCalls) list.push_back({{call, 0, 0, 0}, EPERM});
  for (const SeccompRule& rule : kRefusedConditional) list.push_back({rule, EPERM});
  refuse_any_bit(list, SCMP_SYS(clone), kNewNamespaces);
  // Its flags are in memory, where a filter cannot look. The C library falls back to clone().
  list.push_back({{SCMP_SYS(clone3), 0, 0, 0}, ENOSYS});
  for (const int call : kOfOthers) refuse_any_bit(list, call, kIntArgument);
  for (const int call : {SCMP_SYS(socket), SCMP_SYS(socketpair)}) refuse_other_families(list, call);
  return list;
}

// By this the filter tells of itself: filters and Landlock's layers cannot be asked for, and an
// upgrade a day would add to both until the kernel takes no more (32,768 instructions, 16 layers).
constexpr int kMarkOption = 0x534c'5543;

// Of the list, so that a program with another one adds its own. An errno, far from those in use.
int mark_of(const std::vector<SeccompRefusal>& list) {
  std::uint64_t hash = 1;
  for (const auto& [rule, error] : list) {
    for (const std::uint64_t part : {static_cast<std::uint64_t>(rule.call), rule.mask, rule.value,
                                     static_cast<std::uint64_t>(error)}) {
      hash = (hash ^ part) * 0x100'0000'01b3;
    }
  }
  constexpr int kFirst = 1024;
  constexpr int kCount = 3000;  // The kernel's errors end at 4095.
  return kFirst + static_cast<int>((hash >> 32) % kCount);
}

}  // namespace

std::expected<void, sys::SetupError> confine_supervisor(SeccompMode mode) {
  if (mode == SeccompMode::kOff) return {};
  std::vector<SeccompRefusal> list = refusals();
  const int mark = mark_of(list);
  if (::prctl(kMarkOption, 0, 0, 0, 0) == -1 && errno == mark) return {};
  list.push_back({{SCMP_SYS(prctl), 0, kIntArgument, kMarkOption}, mark});
  const auto signals = confine_signals();
  auto filtered = load_deny_list(mode, list);
  if (filtered && !signals) return std::unexpected(signals.error());
  return filtered;
}

}  // namespace sluice::sandbox
