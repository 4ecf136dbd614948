// A virtual machine of KVM: memory, processors with a thread each, virtio-mmio devices, a serial
// port for early messages, and ACPI tables that tell a stock Linux kernel of all that.
//
// Order: build(), add() each device, load(), start(), stop(). One thread calls these (and end()
// anyone). Devices are called by the threads of vCPUs, one at a time for each device, until stop()
// has returned: so long they live, and so long what they wait for works. They use the machine's
// memory, so that they go before it does.
//
// With KVM_IRQFD and KVM_IOEVENTFD a notification of a queue never comes back to user space, and
// with registers that are mapped into the guest for reading an interrupt does not, either: its
// handler reads the status from memory, and the acknowledgement ends in an eventfd. Where one is
// missing, or switched off, the devices see no difference: the bus writes the queue's eventfd and
// answers for the registers, and whoever watches interrupts_to_watch() calls pulse().
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "box/bus/mmio_bus.h"
#include "box/bus/platform_ports.h"
#include "box/bus/serial_port.h"
#include "box/kvm/exit_counts.h"
#include "box/kvm/guest_ram.h"
#include "box/kvm/kvm_calls.h"
#include "box/kvm/machine_end.h"
#include "box/kvm/vcpu.h"
#include "box/kvm/vm.h"
#include "sys/setup_error.h"
#include "virtio/mmio/mmio_device.h"

namespace sluice::box {

inline constexpr unsigned kCpusMax = 64;

// Whether a binding of KVM is used; where it is not, the fallback is.
enum class Binding : std::uint8_t { kOn, kOff };

struct MachinePlan {
  std::uint64_t memory = std::uint64_t{512} << 20;  // Bytes; kMemoryMin at least.
  unsigned cpus = 1;                                // To kCpusMax.
  Binding irqfd = Binding::kOn;
  Binding ioeventfd = Binding::kOn;
  Binding registers = Binding::kOn;  // Mapped into the guest; needs ioeventfd to be worth it.
  SerialPort::Sink serial = {};      // What the guest writes, by threads of vCPUs; may be empty.
};

struct MachineCounts {
  std::uint64_t mmio = 0;
  std::uint64_t port = 0;
  std::uint64_t halt = 0;
  std::uint64_t interrupted = 0;
  std::uint64_t other = 0;
  std::uint64_t notifies = 0;  // Of `mmio`: a queue was notified, and no ioeventfd took it.
};

// An interrupt that KVM does not take from its eventfd.
struct InterruptToWatch {
  int fd = -1;  // Readable: read it, and call pulse(gsi).
  unsigned gsi = 0;
};

class Machine {
 public:
  // What a thread gives up before it runs a guest.
  using Confine = std::function<std::expected<void, sys::SetupError>()>;

  [[nodiscard]] static std::expected<std::unique_ptr<Machine>, sys::SetupError> build(
      const MachinePlan& plan, KvmCalls& calls = real_kvm_calls());
  ~Machine();  // As stop().

  [[nodiscard]] const virtio::GuestMemory& memory() const { return ram_.memory(); }
  [[nodiscard]] MemoryFile memory_file() const { return ram_.file(); }

  // In the next slot; calls attach(). There is room for kDevicesMax.
  [[nodiscard]] std::expected<void, sys::SetupError> add(virtio::MmioDevice& device);
  // A bzImage or an ELF vmlinux; the views need to live for this call only.
  [[nodiscard]] std::expected<void, sys::SetupError> load(ByteView kernel, ByteView initramfs,
                                                          std::string_view command_line);
  // Threads of vCPUs, each confined before it runs anything of the guest.
  [[nodiscard]] std::expected<void, sys::SetupError> start(const Confine& confine);
  // Ends the guest, wherever it is, and joins the threads. Again, or before start(): nothing.
  void stop();

  // Readable from the machine's end on.
  [[nodiscard]] int ended_fd() const { return ended_fd_.get(); }
  // Why it ended; nothing while it runs. From any thread.
  [[nodiscard]] std::optional<MachineEnd> end() const;

  // From any thread.
  [[nodiscard]] MachineCounts counts() const;
  [[nodiscard]] std::string serial_tail() const { return serial_.tail(); }
  [[nodiscard]] std::vector<InterruptToWatch> interrupts_to_watch() const;
  void pulse(unsigned gsi);

 private:
  struct Cpu {
    explicit Cpu(Vcpu made) : vcpu(std::move(made)) {}
    Vcpu vcpu;
    std::thread thread;
  };
  // What vCPUs' exits reach.
  class Board final : public ExitHandler {
   public:
    explicit Board(Machine& machine) : machine_(machine) {}
    void mmio_read(std::uint64_t address, MutableBytes into) override;
    void mmio_write(std::uint64_t address, ByteView bytes) override;
    void port_read(std::uint16_t port, MutableBytes into) override;
    void port_write(std::uint16_t port, ByteView bytes) override;

   private:
    Machine& machine_;
  };

  Machine(const MachinePlan& plan, GuestRam ram, Vm vm, std::array<UniqueFd, 2> eventfds);
  [[nodiscard]] std::expected<void, sys::SetupError> make_cpus(unsigned count);
  [[nodiscard]] std::expected<void, sys::SetupError> bind(MmioSlot& slot);
  [[nodiscard]] std::expected<void, sys::SetupError> map_registers(MmioSlot& slot,
                                                                   std::size_t index);
  void run(Cpu& cpu, const Confine& confine);
  [[nodiscard]] bool may_run(const Confine& confine);
  [[nodiscard]] bool running() const { return !ending_.load(std::memory_order_acquire); }
  // The first one is the reason.
  void finish(MachineEnd end);
  void interrupt_cpus();

  MachinePlan plan_;
  GuestRam ram_;  // Before what has it mapped.
  MmioBus bus_;   // This as well.
  Vm vm_;
  SerialPort serial_;
  PlatformPorts ports_;
  Board board_{*this};
  std::vector<std::unique_ptr<Cpu>> cpus_;
  bool loaded_ = false;
  UniqueFd ended_fd_;
  UniqueFd swallowed_;  // Acknowledgements that mean nothing. Nobody reads it.

  std::atomic<bool> ending_ = false;
  mutable std::mutex lock_;  // Of what follows.
  std::condition_variable changed_;
  std::size_t confined_ = 0;
  bool released_ = false;  // Every thread is confined: run.
  std::optional<sys::SetupError> failure_;
  std::optional<MachineEnd> end_;
};

}  // namespace sluice::box
