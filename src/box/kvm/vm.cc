#include "box/kvm/vm.h"

#include <linux/kvm.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

namespace sluice::box {
namespace {

template <typename T>
std::uintptr_t pointer(T& argument) {
  return reinterpret_cast<std::uintptr_t>(&argument);
}

// Where Intel's KVM without "unrestricted guest" keeps pages of its own; nobody else uses them.
constexpr std::uint64_t kIdentityMap = 0xfffb'c000;
constexpr std::uintptr_t kTss = 0xfffb'd000;

struct NeededExtension {
  int number;
  const char* name;
};
constexpr std::array kNeeded = {
    NeededExtension{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
    NeededExtension{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
    NeededExtension{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
    NeededExtension{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
};

sys::SetupError cannot_open(int error) {
  switch (error) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return {"/dev/kvm", error,
              "this machine has no KVM: switch on virtualisation (VT-x, AMD-V) in its firmware and "
              "load kvm_intel or kvm_amd; in a virtual machine, switch on nested virtualisation"};
    case EACCES:
    case EPERM:
      return {"/dev/kvm", error,
              "allow yourself to use KVM, as root: adduser USER kvm, and log in again"};
    default: return {"/dev/kvm", error, ""};
  }
}

}  // namespace

std::expected<Vm, sys::SetupError> Vm::create(KvmCalls& calls, Interrupts interrupts) {
  UniqueFd device(calls.open("/dev/kvm"));
  if (!device.valid()) return std::unexpected(cannot_open(errno));
  // The API has had this number since Linux 2.6.22; a kernel with another one cannot be used.
  if (calls.ioctl(device.get(), KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
    return std::unexpected(sys::SetupError{"/dev/kvm: its API has not version 12", 0, ""});
  }
  UniqueFd machine(calls.ioctl(device.get(), KVM_CREATE_VM, 0));
  if (!machine.valid()) {
    return std::unexpected(sys::SetupError{"make a virtual machine (KVM_CREATE_VM)", errno, ""});
  }
  Vm vm(calls, std::move(device), std::move(machine));
  if (auto done = vm.set_up(interrupts); !done) return std::unexpected(done.error());
  return vm;
}

std::expected<void, sys::SetupError> Vm::set_up(Interrupts interrupts) {
  for (const NeededExtension& needed : kNeeded) {
    if (extension(needed.number) <= 0) {
      const std::string step = std::string("/dev/kvm: this kernel's KVM lacks ") + needed.name;
      return std::unexpected(sys::SetupError{step, 0, ""});
    }
  }
  irqfd_ = extension(KVM_CAP_IRQFD) > 0;
  ioeventfd_ = extension(KVM_CAP_IOEVENTFD) > 0;
  read_only_memory_ = extension(KVM_CAP_READONLY_MEM) > 0;
  if (auto done = call("KVM_SET_TSS_ADDR", KVM_SET_TSS_ADDR, kTss); !done) return done;
  std::uint64_t identity = kIdentityMap;
  if (auto done = call("KVM_SET_IDENTITY_MAP_ADDR", KVM_SET_IDENTITY_MAP_ADDR, pointer(identity));
      !done) {
    return done;
  }
  if (interrupts == Interrupts::kNone) return {};
  return call("KVM_CREATE_IRQCHIP", KVM_CREATE_IRQCHIP, 0);
}

std::expected<void, sys::SetupError> Vm::call(const char* step, unsigned long request,
                                              std::uintptr_t argument) {
  if (calls_->ioctl(machine_.get(), request, argument) >= 0) return {};
  return std::unexpected(sys::SetupError{std::string("the virtual machine: ") + step, errno, ""});
}

int Vm::extension(long which) const {
  return calls_->ioctl(machine_.get(), KVM_CHECK_EXTENSION, static_cast<std::uintptr_t>(which));
}

std::expected<void, sys::SetupError> Vm::use_memory(const virtio::GuestMemory& memory) {
  for (const virtio::MemoryRegion& region : memory.regions()) {
    if (auto done = map(region.guest_address, region.bytes, 0); !done) return done;
  }
  return {};
}

std::expected<void, sys::SetupError> Vm::map_read_only(std::uint64_t guest_address,
                                                       MutableBytes pages) {
  return map(guest_address, pages, KVM_MEM_READONLY);
}

std::expected<void, sys::SetupError> Vm::map(std::uint64_t guest_address, MutableBytes bytes,
                                             std::uint32_t flags) {
  kvm_userspace_memory_region entry{};
  entry.slot = next_slot_++;
  entry.flags = flags;
  entry.guest_phys_addr = guest_address;
  entry.memory_size = bytes.size();
  entry.userspace_addr = reinterpret_cast<std::uintptr_t>(bytes.data());
  return call("KVM_SET_USER_MEMORY_REGION", KVM_SET_USER_MEMORY_REGION, pointer(entry));
}

std::expected<Vcpu, sys::SetupError> Vm::make_vcpu(CpuPlace place) {
  UniqueFd fd(calls_->ioctl(machine_.get(), KVM_CREATE_VCPU, place.index));
  if (!fd.valid()) {
    const std::string step = "processor " + std::to_string(place.index) + " of the machine";
    return std::unexpected(sys::SetupError{step, errno, "fewer processors (--cpus) may do"});
  }
  const VcpuHost host{.device = device_.get(),
                      .tsc_deadline = extension(KVM_CAP_TSC_DEADLINE_TIMER) > 0};
  return Vcpu::create(*calls_, std::move(fd), host, place);
}

std::expected<void, sys::SetupError> Vm::bind_interrupt(int eventfd, unsigned gsi) {
  kvm_irqfd entry{};
  entry.fd = static_cast<std::uint32_t>(eventfd);
  entry.gsi = gsi;
  return call("KVM_IRQFD", KVM_IRQFD, pointer(entry));
}

std::expected<void, sys::SetupError> Vm::bind_notify(int eventfd, std::uint64_t address,
                                                     std::uint32_t value) {
  kvm_ioeventfd entry{};
  entry.datamatch = value;
  entry.addr = address;
  entry.len = 4;
  entry.fd = eventfd;
  entry.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
  return call("KVM_IOEVENTFD", KVM_IOEVENTFD, pointer(entry));
}

void Vm::pulse(unsigned gsi) {
  for (const std::uint32_t level : {1U, 0U}) {
    kvm_irq_level line{};
    line.irq = gsi;
    line.level = level;
    // The line is one of the IOAPIC's, so that this cannot fail.
    (void)calls_->ioctl(machine_.get(), KVM_IRQ_LINE, pointer(line));
  }
}

}  // namespace sluice::box
