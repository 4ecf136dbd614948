// Boots a Linux kernel by box::Machine and says how it ended: for trying the machine without the
// rest of a box.
//
//   boot_machine KERNEL INITRAMFS [cpus=N] [memory=MiB] [seconds=N] [append=WORDS] [filter] [few]
//                                 [rng] [irqfd=off] [ioeventfd=off] [registers=off]
//   boot_machine check
//
// What the guest writes to its serial port goes to standard output, the rest to standard error.
// Exit status: 0 powered off, 1 an error of ours, 2 reset, 3 triple fault, 4 KVM failed, 5 stopped.
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "box/boot/command_line.h"
#include "box/device/device_thread.h"
#include "box/device/rng_device.h"
#include "box/kvm/kvm_check.h"
#include "box/machine.h"
#include "sandbox/box_sandbox.h"
#include "sys/steady_clock.h"

namespace sluice::box {
namespace {

struct Options {
  const char* kernel = nullptr;
  const char* initramfs = nullptr;
  MachinePlan machine;
  int seconds = 60;
  std::string append;
  bool filter = false;
  bool rng = false;
  KernelWords words = KernelWords::kAll;
};

// The file as memory, for the process's life; empty if it cannot be had.
ByteView map_file(const char* path) {
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0 || status.st_size == 0) return {};
  const auto size = static_cast<std::size_t>(status.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (address == MAP_FAILED) return {};
  return {static_cast<const std::uint8_t*>(address), size};
}

template <typename T>
void take_number(std::string_view text, T& into) {
  std::from_chars(text.data(), text.data() + text.size(), into);
}

Options parse(int count, char** words) {
  Options options{.kernel = words[1], .initramfs = words[2], .machine = {}, .append = {}};
  for (int i = 3; i < count; ++i) {
    const std::string_view word = words[i];
    const std::string_view value = word.substr(std::min(word.find('=') + 1, word.size()));
    if (word.starts_with("cpus=")) take_number(value, options.machine.cpus);
    if (word.starts_with("memory=")) {
      take_number(value, options.machine.memory);
      options.machine.memory <<= 20;
    }
    if (word.starts_with("seconds=")) take_number(value, options.seconds);
    if (word.starts_with("append=")) options.append = value;
    if (word == "filter") options.filter = true;
    if (word == "few") options.words = KernelWords::kFew;
    if (word == "rng") options.rng = true;
    if (word == "irqfd=off") options.machine.irqfd = Binding::kOff;
    if (word == "registers=off") options.machine.registers = Binding::kOff;
    if (word == "ioeventfd=off") options.machine.ioeventfd = Binding::kOff;
  }
  return options;
}

double seconds_since(Instant begin) {
  const Duration passed = sys::steady_now(sys::real_kernel()) - begin;
  return std::chrono::duration<double>(passed).count();
}

int refused(const sys::SetupError& error) {
  std::fprintf(stderr, "boot_machine: %s\n", error.describe().c_str());
  return 1;
}

int status_of(EndKind kind) {
  switch (kind) {
    case EndKind::kPoweredOff: return 0;
    case EndKind::kReset:
    case EndKind::kPanicked: return 2;
    case EndKind::kTripleFault: return 3;
    case EndKind::kFailed: return 4;
    case EndKind::kStopped: return 5;
  }
  return 1;
}

int report(Machine& machine, Instant begin) {
  const MachineEnd end = machine.end().value_or(MachineEnd{});
  const MachineCounts counts = machine.counts();
  std::fprintf(stderr, "boot_machine: %s after %.3f s\n", end.words.c_str(), seconds_since(begin));
  std::fprintf(stderr,
               "boot_machine: exits: mmio %llu port %llu halt %llu interrupted %llu other %llu "
               "notifies %llu\n",
               static_cast<unsigned long long>(counts.mmio),
               static_cast<unsigned long long>(counts.port),
               static_cast<unsigned long long>(counts.halt),
               static_cast<unsigned long long>(counts.interrupted),
               static_cast<unsigned long long>(counts.other),
               static_cast<unsigned long long>(counts.notifies));
  return status_of(end.kind);
}

// A device, and the thread that serves it and what KVM does not do by itself.
class Devices {
 public:
  std::expected<void, sys::SetupError> add_to(Machine& machine) {
    auto thread = DeviceThread::create(sys::real_kernel());
    if (!thread)
      return std::unexpected(sys::SetupError{"the device thread", thread.error().error, ""});
    thread_ = std::move(*thread);
    const auto tell = [](std::string_view fault) {
      std::fprintf(stderr, "boot_machine: %s\n", std::string(fault).c_str());
    };
    auto rng = RngDevice::create(*thread_, machine.memory(), kernel_entropy, tell);
    if (!rng) return std::unexpected(sys::SetupError{"the rng", rng.error().error, ""});
    rng_ = std::move(*rng);
    if (auto done = machine.add(*rng_); !done) return done;
    for (const InterruptToWatch& interrupt : machine.interrupts_to_watch()) {
      auto watch = thread_->watch_interrupt(
          interrupt.fd, [&machine, gsi = interrupt.gsi] { machine.pulse(gsi); });
      if (watch) interrupts_.push_back(std::move(*watch));
    }
    return {};
  }
  std::expected<void, sys::SetupError> start(sandbox::SeccompMode mode) {
    if (!thread_) return {};
    return thread_->start([mode] { return sandbox::confine_device_thread(mode); });
  }
  void stop() {
    if (thread_) thread_->stop();
  }

 private:
  std::unique_ptr<DeviceThread> thread_;
  std::vector<DeviceThread::Watch> interrupts_;
  std::unique_ptr<RngDevice> rng_;
};

std::expected<void, sys::SetupError> run(Machine& machine, const Options& options, Instant begin) {
  Devices devices;
  if (options.rng) {
    if (auto added = devices.add_to(machine); !added) return added;
  }
  const std::string line = command_line({.words = options.words, .extra = options.append});
  auto loaded = machine.load(map_file(options.kernel), map_file(options.initramfs), line);
  if (!loaded) return loaded;
  const auto mode = options.filter ? sandbox::SeccompMode::kKill : sandbox::SeccompMode::kOff;
  if (auto started = devices.start(mode); !started) return started;
  auto started = machine.start([mode] { return sandbox::confine_vcpu(mode); });
  if (started) {
    std::fprintf(stderr, "boot_machine: started after %.3f s\n", seconds_since(begin));
    pollfd watched{.fd = machine.ended_fd(), .events = POLLIN, .revents = 0};
    ::poll(&watched, 1, options.seconds * 1000);
  }
  machine.stop();
  devices.stop();
  return started;
}

int boot(Options options) {
  const Instant begin = sys::steady_now(sys::real_kernel());
  if (const auto fit = check_kvm(); !fit) return refused(fit.error());
  std::fprintf(stderr, "boot_machine: checked after %.3f s\n", seconds_since(begin));
  options.machine.serial = [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  auto machine = Machine::build(options.machine);
  if (!machine) return refused(machine.error());
  if (const auto done = run(**machine, options, begin); !done) return refused(done.error());
  return report(**machine, begin);
}

int check() {
  const Instant begin = sys::steady_now(sys::real_kernel());
  const auto fit = check_kvm();
  std::fprintf(stderr, "boot_machine: checked in %.3f s\n", seconds_since(begin));
  return fit ? 0 : refused(fit.error());
}

}  // namespace
}  // namespace sluice::box

int main(int count, char** words) {
  if (count == 2 && std::string_view(words[1]) == "check") return sluice::box::check();
  if (count < 3) {
    std::fprintf(stderr, "boot_machine KERNEL INITRAMFS [WORD...] | check\n");
    return 1;
  }
  return sluice::box::boot(sluice::box::parse(count, words));
}
