// A virtual machine of KVM by its ioctls (the kernel's Documentation/virt/kvm/api.rst): its
// interrupt controllers are KVM's own, its memory is mapped by whoever gives it, and it has neither
// a PIT nor a PIC that anybody needs (hardware-reduced ACPI).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>

#include "base/unique_fd.h"
#include "box/kvm/kvm_calls.h"
#include "box/kvm/vcpu.h"
#include "sys/setup_error.h"
#include "virtio/guest_memory.h"

namespace sluice::box {

class Vm {
 public:
  enum class Interrupts : std::uint8_t { kInKernel, kNone };

  // Opens /dev/kvm, looks for what is needed, and makes a machine without memory or processors.
  [[nodiscard]] static std::expected<Vm, sys::SetupError> create(KvmCalls& calls,
                                                                 Interrupts interrupts);

  // What this KVM can.
  [[nodiscard]] bool has_irqfd() const { return irqfd_; }
  [[nodiscard]] bool has_ioeventfd() const { return ioeventfd_; }
  [[nodiscard]] bool has_read_only_memory() const { return read_only_memory_; }

  // All of its regions, once. The mappings must live as long as the machine.
  [[nodiscard]] std::expected<void, sys::SetupError> use_memory(const virtio::GuestMemory& memory);
  // Pages that the guest reads as memory; its writes come as exits, or go to eventfds.
  [[nodiscard]] std::expected<void, sys::SetupError> map_read_only(std::uint64_t guest_address,
                                                                   MutableBytes pages);
  [[nodiscard]] std::expected<Vcpu, sys::SetupError> make_vcpu(CpuPlace place);

  // Each write to the eventfd is an edge on the line.
  [[nodiscard]] std::expected<void, sys::SetupError> bind_interrupt(int eventfd, unsigned gsi);
  // A write of 4 bytes of that value there writes the eventfd, and does not leave the kernel.
  [[nodiscard]] std::expected<void, sys::SetupError> bind_notify(int eventfd, std::uint64_t address,
                                                                 std::uint32_t value);
  // An edge on the line. From any thread.
  void pulse(unsigned gsi);

 private:
  Vm(KvmCalls& calls, UniqueFd device, UniqueFd machine)
      : calls_(&calls), device_(std::move(device)), machine_(std::move(machine)) {}
  [[nodiscard]] std::expected<void, sys::SetupError> call(const char* step, unsigned long request,
                                                          std::uintptr_t argument);
  [[nodiscard]] int extension(long which) const;
  [[nodiscard]] std::expected<void, sys::SetupError> map(std::uint64_t guest_address,
                                                         MutableBytes bytes, std::uint32_t flags);
  [[nodiscard]] std::expected<void, sys::SetupError> set_up(Interrupts interrupts);

  KvmCalls* calls_;  // Not owned.
  UniqueFd device_;
  UniqueFd machine_;
  bool irqfd_ = false;
  bool ioeventfd_ = false;
  bool read_only_memory_ = false;
  std::uint32_t next_slot_ = 0;  // Of memory.
};

}  // namespace sluice::box
