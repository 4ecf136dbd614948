// Has a program believe that KVM runs its guests, for bench/box/start:
//
//   LD_PRELOAD=…/libkvm_pretend.so sluice box -v -- true
//
// KVM makes machines, processors and devices as ever, but KVM_RUN runs nothing. A machine without
// interrupts is the trial of `sluice box`: its processor says at once that its loop is done. One
// that has interrupts ends as it would with a triple fault. So what a monitor does up to there can
// be measured on a machine whose KVM is of no use, or is none of the monitor's cost.
#include <asm/unistd.h>
#include <linux/kvm.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string_view>

namespace {

// Of box/kvm/kvm_check.cc.
constexpr std::uint16_t kDonePort = 0xf4;
// Behind kvm_run, where KVM has the data of ports.
constexpr std::uint64_t kPortData = 4096;

struct Processor {
  int fd = -1;
  kvm_run* run = nullptr;
};
// Made by one thread, before those of processors are.
constinit std::array<Processor, 64> processors{};
constinit std::atomic<std::size_t> processors_made = 0;
constinit std::atomic<bool> has_interrupts = false;

bool is_processor(int fd) {
  std::array<char, 64> link{};
  std::array<char, 64> name{};
  (void)std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", fd);
  const ssize_t size = ::readlink(link.data(), name.data(), name.size());
  return size > 0 &&
         std::string_view(name.data(), static_cast<std::size_t>(size)).find("kvm-vcpu") !=
             std::string_view::npos;
}

// Its latest processor of that number: descriptors come again.
kvm_run* state_of(int fd) {
  for (std::size_t i = processors_made; i > 0; --i) {
    if (processors[i - 1].fd == fd) return processors[i - 1].run;
  }
  return nullptr;
}

void pretend(kvm_run& run) {
  if (has_interrupts) {
    run.exit_reason = KVM_EXIT_SHUTDOWN;
    return;
  }
  run.exit_reason = KVM_EXIT_IO;
  run.io.direction = KVM_EXIT_IO_OUT;
  run.io.port = kDonePort;
  run.io.size = 1;
  run.io.count = 1;
  run.io.data_offset = kPortData;
}

}  // namespace

extern "C" {

[[gnu::visibility("default")]] void* mmap(void* address, std::size_t size, int protection,
                                          int flags, int fd, off_t offset) noexcept {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): what the system call returns is one.
  void* const made =
      reinterpret_cast<void*>(::syscall(__NR_mmap, address, size, protection, flags, fd, offset));
  if (fd >= 0 && made != MAP_FAILED && processors_made < processors.size() && is_processor(fd)) {
    processors[processors_made] = {fd, static_cast<kvm_run*>(made)};
    ++processors_made;
  }
  return made;
}

[[gnu::visibility("default")]] int ioctl(int fd, unsigned long request, ...) noexcept {
  std::va_list list;
  va_start(list, request);
  const auto argument = va_arg(list, std::uintptr_t);
  va_end(list);
  if (request == KVM_RUN) {
    if (kvm_run* const run = state_of(fd)) {
      pretend(*run);
      return 0;
    }
  }
  if (request == KVM_CREATE_IRQCHIP) has_interrupts = true;
  return static_cast<int>(::syscall(__NR_ioctl, fd, request, argument));
}

}  // extern "C"
