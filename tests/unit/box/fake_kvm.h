// A KVM that answers as its test says, and remembers what it was told. Thread-safe.
#pragma once

#include <linux/kvm.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "box/kvm/kvm_calls.h"
#include "box/kvm/kvm_tables.h"

namespace sluice::box {

class FakeKvm final : public KvmCalls {
 public:
  static constexpr std::size_t kRunBytes = 8192;
  static constexpr std::size_t kPortData = 4096;  // In a run area: where a port's bytes lie.

  // One KVM_RUN of a processor: 0, or an errno.
  using Run = std::function<int(kvm_run& run)>;

  // What the test says.
  int open_error = 0;
  int api_version = KVM_API_VERSION;
  std::map<unsigned long, int> errors;       // Of requests.
  std::map<std::uintptr_t, int> extensions;  // All others are there.
  std::vector<kvm_cpuid_entry2> supported;
  std::map<unsigned, Run> runs;  // Of processors; without one it waits to be interrupted.
  bool has_local_apic = true;

  // What it was told.
  std::vector<kvm_userspace_memory_region> memory;
  std::vector<kvm_irqfd> interrupts;
  std::vector<kvm_ioeventfd> notifies;
  std::vector<kvm_irq_level> levels;
  std::map<unsigned, std::vector<kvm_cpuid_entry2>> cpuid;  // By processor.
  kvm_sregs special{};
  kvm_regs registers{};
  kvm_lapic_state local_apic{};

  int open(const char*) override {
    if (open_error == 0) return ::eventfd(0, EFD_CLOEXEC);
    errno = open_error;
    return -1;
  }
  int ioctl(int fd, unsigned long request, std::uintptr_t argument) override {
    if (request == KVM_RUN) return run(fd);
    const std::lock_guard guard(lock_);
    if (const auto error = errors.find(request); error != errors.end()) {
      return fail(error->second);
    }
    return answer(fd, request, argument);
  }
  void* map(int fd, std::size_t size) override {
    const std::lock_guard guard(lock_);
    auto& area = areas_[fd];
    area.resize(size / sizeof(std::uint64_t));
    return area.data();
  }
  void unmap(void*, std::size_t) override {}

  [[nodiscard]] std::vector<kvm_irq_level> pulsed() {
    const std::lock_guard guard(lock_);
    return levels;
  }

  // Scripts of a processor's exits.
  static Run port_write(std::uint16_t port, std::uint8_t value) {
    return [port, value](kvm_run& run) {
      run.exit_reason = KVM_EXIT_IO;
      run.io.direction = KVM_EXIT_IO_OUT;
      run.io.size = 1;
      run.io.port = port;
      run.io.count = 1;
      run.io.data_offset = kPortData;
      reinterpret_cast<std::uint8_t*>(&run)[kPortData] = value;
      return 0;
    };
  }
  static Run exit(std::uint32_t reason) {
    return [reason](kvm_run& run) {
      run.exit_reason = reason;
      return 0;
    };
  }
  // One after another; then it waits to be interrupted.
  static Run in_order(std::vector<Run> steps) {
    return [steps = std::move(steps), next = std::size_t{0}](kvm_run& run) mutable {
      return next < steps.size() ? steps[next++](run) : wait(run);
    };
  }
  // As a processor that computes until somebody calls it away.
  static int wait(kvm_run& run) {
    const std::atomic_ref<std::uint8_t> wanted(run.immediate_exit);
    while (wanted.load() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return EINTR;
  }

 private:
  static int fail(int error) {
    errno = error;
    return -1;
  }
  template <typename T>
  static T& at(std::uintptr_t argument) {
    return *reinterpret_cast<T*>(argument);
  }

  int run(int fd) {
    kvm_run* area = nullptr;
    Run* script = nullptr;
    {
      const std::lock_guard guard(lock_);
      area = reinterpret_cast<kvm_run*>(areas_[fd].data());
      const auto found = runs.find(processors_[fd]);
      if (found != runs.end()) script = &found->second;
    }
    if (const int error = script == nullptr ? wait(*area) : (*script)(*area); error != 0) {
      return fail(error);
    }
    return 0;
  }

  int answer(int fd, unsigned long request, std::uintptr_t argument) {
    switch (request) {
      case KVM_GET_API_VERSION: return api_version;
      case KVM_CREATE_VM: return ::eventfd(0, EFD_CLOEXEC);
      case KVM_CREATE_VCPU: {
        const int made = ::eventfd(0, EFD_CLOEXEC);
        processors_[made] = static_cast<unsigned>(argument);
        return made;
      }
      case KVM_CHECK_EXTENSION: {
        const auto known = extensions.find(argument);
        return known == extensions.end() ? 1 : known->second;
      }
      case KVM_GET_VCPU_MMAP_SIZE: return kRunBytes;
      case KVM_SET_USER_MEMORY_REGION:
        memory.push_back(at<kvm_userspace_memory_region>(argument));
        return 0;
      case KVM_IRQFD: interrupts.push_back(at<kvm_irqfd>(argument)); return 0;
      case KVM_IOEVENTFD: notifies.push_back(at<kvm_ioeventfd>(argument)); return 0;
      case KVM_IRQ_LINE: levels.push_back(at<kvm_irq_level>(argument)); return 0;
      default: return answer_processor(fd, request, argument);
    }
  }

  int answer_processor(int fd, unsigned long request, std::uintptr_t argument) {
    switch (request) {
      case kKvmGetSupportedCpuid: {
        auto& table = at<CpuidTable>(argument);
        table.count = static_cast<std::uint32_t>(supported.size());
        std::ranges::copy(supported, table.entries.begin());
        return 0;
      }
      case kKvmSetCpuid2: {
        const auto& table = at<CpuidTable>(argument);
        cpuid[processors_[fd]].assign(table.entries.begin(), table.entries.begin() + table.count);
        return 0;
      }
      case KVM_GET_LAPIC: return has_local_apic ? 0 : fail(EINVAL);
      case KVM_SET_LAPIC: local_apic = at<kvm_lapic_state>(argument); return 0;
      case KVM_SET_SREGS: special = at<kvm_sregs>(argument); return 0;
      case KVM_SET_REGS: registers = at<kvm_regs>(argument); return 0;
      case KVM_GET_REGS: at<kvm_regs>(argument) = registers; return 0;
      default: return 0;
    }
  }

  std::mutex lock_;
  std::map<int, std::vector<std::uint64_t>> areas_;
  std::map<int, unsigned> processors_;
};

}  // namespace sluice::box
