#include "box/kvm/vcpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "box/kvm/kvm_tables.h"

namespace sluice::box {
namespace {

template <typename T>
std::uintptr_t pointer(T& argument) {
  return reinterpret_cast<std::uintptr_t>(&argument);
}

// The name of an exit that nobody expects of our guests (KVM_EXIT_* in linux/kvm.h).
std::string exit_name(std::uint32_t reason) {
  switch (reason) {
    case KVM_EXIT_UNKNOWN: return "an unknown exit of the processor";
    case KVM_EXIT_FAIL_ENTRY: return "the processor refused the guest's state";
    case KVM_EXIT_DEBUG: return "a debug exit";
    default: return fmt::format("KVM's exit {}", reason);
  }
}

}  // namespace

std::expected<Vcpu, sys::SetupError> Vcpu::create(KvmCalls& calls, UniqueFd fd, VcpuHost host,
                                                  CpuPlace place) {
  const int size = calls.ioctl(host.device, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (size < static_cast<int>(sizeof(kvm_run))) {
    return std::unexpected(sys::SetupError{"a processor: KVM_GET_VCPU_MMAP_SIZE", errno, ""});
  }
  const auto bytes = static_cast<std::size_t>(size);
  RunArea run(static_cast<kvm_run*>(calls.map(fd.get(), bytes)), Unmap{&calls, bytes});
  if (!run) return std::unexpected(sys::SetupError{"a processor: map its state", errno, ""});
  Vcpu vcpu(calls, std::move(fd), std::move(run));
  if (auto done = vcpu.set_cpuid(host, place); !done) return std::unexpected(done.error());
  if (auto done = vcpu.set_local_apic(); !done) return std::unexpected(done.error());
  vcpu.set_memory_types();
  return vcpu;
}

std::expected<void, sys::SetupError> Vcpu::call(const char* step, unsigned long request,
                                                std::uintptr_t argument) {
  if (calls_->ioctl(fd_.get(), request, argument) >= 0) return {};
  return std::unexpected(sys::SetupError{std::string("a processor: ") + step, errno, ""});
}

std::expected<void, sys::SetupError> Vcpu::set_cpuid(VcpuHost host, CpuPlace place) {
  CpuidTable table{.count = CpuidTable::kEntriesMax};
  if (calls_->ioctl(host.device, kKvmGetSupportedCpuid, pointer(table)) < 0) {
    return std::unexpected(sys::SetupError{"a processor: KVM_GET_SUPPORTED_CPUID", errno, ""});
  }
  const std::size_t known = std::min<std::size_t>(table.count, CpuidTable::kEntriesMax);
  const auto leaves = cpuid_of({table.entries.begin(), table.entries.begin() + known},
                               {.place = place, .tsc_deadline = host.tsc_deadline});
  const std::size_t count = std::min(leaves.size(), CpuidTable::kEntriesMax);
  std::copy_n(leaves.begin(), count, table.entries.begin());
  table.count = static_cast<std::uint32_t>(count);
  return call("KVM_SET_CPUID2", kKvmSetCpuid2, pointer(table));
}

std::expected<void, sys::SetupError> Vcpu::set_local_apic() {
  kvm_lapic_state apic{};
  // It is not KVM's: then there is nothing to set.
  if (calls_->ioctl(fd_.get(), KVM_GET_LAPIC, pointer(apic)) < 0 && errno == EINVAL) return {};
  wire_local_interrupts(apic);
  return call("KVM_SET_LAPIC", KVM_SET_LAPIC, pointer(apic));
}

// As firmware leaves them: memory is write-back, and string instructions are fast. A guest can do
// without, so that a KVM that refuses does not matter.
void Vcpu::set_memory_types() {
  constexpr std::uint32_t kMiscEnable = 0x1a0;
  constexpr std::uint32_t kMtrrDefaultType = 0x2ff;
  MsrTable table{.count = 2};
  table.entries[0].index = kMiscEnable;
  table.entries[0].data = 1;
  table.entries[1].index = kMtrrDefaultType;
  table.entries[1].data = 1U << 11 | 6;
  (void)calls_->ioctl(fd_.get(), kKvmSetMsrs, pointer(table));
}

std::expected<void, sys::SetupError> Vcpu::enter_at(const EntryState& entry) {
  kvm_sregs special{};
  if (auto done = call("KVM_GET_SREGS", KVM_GET_SREGS, pointer(special)); !done) return done;
  set_long_mode(special, entry);
  if (auto done = call("KVM_SET_SREGS", KVM_SET_SREGS, pointer(special)); !done) return done;
  kvm_regs registers = registers_at(entry);
  return call("KVM_SET_REGS", KVM_SET_REGS, pointer(registers));
}

void Vcpu::interrupt() {
  std::atomic_ref<std::uint8_t>(run_->immediate_exit).store(1, std::memory_order_release);
}

std::optional<MachineEnd> Vcpu::run(ExitHandler& handler) {
  if (calls_->ioctl(fd_.get(), KVM_RUN, 0) >= 0) return dispatch(handler);
  // EAGAIN: a processor that waits for the first one's word was signalled.
  if (errno == EINTR || errno == EAGAIN) {
    counts_->count(ExitKind::kInterrupted);
    return std::nullopt;
  }
  counts_->count(ExitKind::kOther);
  return failed(fmt::format("KVM cannot run the guest: {}", sys::errno_text(errno)));
}

std::optional<MachineEnd> Vcpu::dispatch(ExitHandler& handler) {
  switch (run_->exit_reason) {
    case KVM_EXIT_MMIO:
      counts_->count(ExitKind::kMmio);
      answer_mmio(handler);
      return std::nullopt;
    case KVM_EXIT_IO:
      counts_->count(ExitKind::kPort);
      answer_port(handler);
      return std::nullopt;
    case KVM_EXIT_INTR: counts_->count(ExitKind::kInterrupted); return std::nullopt;
    case KVM_EXIT_HLT:
      // Without interrupts nothing would ever wake it up.
      counts_->count(ExitKind::kHalt);
      return failed("the guest halted");
    case KVM_EXIT_SHUTDOWN:
      counts_->count(ExitKind::kOther);
      return MachineEnd{EndKind::kTripleFault, "the guest's processor stopped with a triple fault"};
    case KVM_EXIT_INTERNAL_ERROR: counts_->count(ExitKind::kOther); return failed(internal_error());
    default: counts_->count(ExitKind::kOther); return failed(exit_name(run_->exit_reason));
  }
}

void Vcpu::answer_mmio(ExitHandler& handler) {
  auto& access = run_->mmio;
  const std::size_t length = std::min<std::size_t>(access.len, sizeof access.data);
  if (access.is_write != 0) {
    handler.mmio_write(access.phys_addr, ByteView(access.data, length));
  } else {
    handler.mmio_read(access.phys_addr, MutableBytes(access.data, length));
  }
}

void Vcpu::answer_port(ExitHandler& handler) {
  const auto& access = run_->io;
  auto* data = reinterpret_cast<std::uint8_t*>(run_.get()) + access.data_offset;
  for (std::uint32_t i = 0; i < access.count; ++i, data += access.size) {
    if (access.direction == KVM_EXIT_IO_OUT) {
      handler.port_write(access.port, ByteView(data, access.size));
    } else {
      handler.port_read(access.port, MutableBytes(data, access.size));
    }
  }
}

MachineEnd Vcpu::failed(std::string words) {
  kvm_regs registers{};
  if (calls_->ioctl(fd_.get(), KVM_GET_REGS, pointer(registers)) >= 0) {
    words += fmt::format(" (at {:#x})", registers.rip);
  }
  return {EndKind::kFailed, std::move(words)};
}

std::string Vcpu::internal_error() const {
  const auto& error = run_->internal;
  // KVM_INTERNAL_ERROR_EMULATION: data[0] are flags, then a count and the bytes of it.
  if (error.suberror != KVM_INTERNAL_ERROR_EMULATION) {
    return fmt::format("KVM's internal error {}", error.suberror);
  }
  std::string words = "KVM cannot carry out an instruction of the guest";
  if (error.ndata >= 4) {
    std::uint8_t bytes[16];
    std::memcpy(bytes, &error.data[1], sizeof bytes);
    const std::size_t count = std::min<std::size_t>(bytes[0], sizeof bytes - 1);
    for (std::size_t i = 0; i < count; ++i) words += fmt::format(" {:02x}", bytes[1 + i]);
  }
  return words;
}

}  // namespace sluice::box
