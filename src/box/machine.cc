#include "box/machine.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "box/acpi/acpi_tables.h"
#include "box/boot/load_kernel.h"
#include "box/boot/long_mode.h"
#include "box/boot/low_memory.h"
#include "sys/event_fd.h"

namespace sluice::box {
namespace {

std::unexpected<sys::SetupError> failed(std::string step, int error = 0, std::string hint = "") {
  return std::unexpected(sys::SetupError{std::move(step), error, std::move(hint)});
}

// Brings a thread out of KVM. Nobody else in the process uses real-time signals.
int kick_signal() { return SIGRTMIN; }

// KVM_RUN comes back with EINTR where a signal has a handler.
void prepare_kick_signal() {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  ::sigaction(kick_signal(), &action, nullptr);
}

// What the process has signals for is the main thread's business; a vCPU's takes the kick alone.
void take_kicks_only() {
  sigset_t blocked;
  ::sigfillset(&blocked);
  ::sigdelset(&blocked, kick_signal());
  ::pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
}

}  // namespace

std::expected<std::unique_ptr<Machine>, sys::SetupError> Machine::build(const MachinePlan& plan,
                                                                        KvmCalls& calls) {
  if (plan.cpus == 0 || plan.cpus > kCpusMax) {
    return failed(fmt::format("a machine of {} processors", plan.cpus), 0,
                  fmt::format("it may have 1 to {}", kCpusMax));
  }
  auto ram = GuestRam::create(plan.memory);
  if (!ram) return std::unexpected(ram.error());
  auto vm = Vm::create(calls, Vm::Interrupts::kInKernel);
  if (!vm) return std::unexpected(vm.error());
  if (auto done = vm->use_memory(ram->memory()); !done) return std::unexpected(done.error());
  std::array eventfds{sys::open_event_fd(), sys::open_event_fd()};
  if (!eventfds[0].valid() || !eventfds[1].valid()) return failed("eventfd", errno);
  std::unique_ptr<Machine> machine(
      new Machine(plan, std::move(*ram), std::move(*vm), std::move(eventfds)));
  if (auto done = machine->make_cpus(plan.cpus); !done) return std::unexpected(done.error());
  return machine;
}

Machine::Machine(const MachinePlan& plan, GuestRam ram, Vm vm, std::array<UniqueFd, 2> eventfds)
    : plan_(plan),
      ram_(std::move(ram)),
      vm_(std::move(vm)),
      serial_(plan.serial),
      ports_(serial_),
      ended_fd_(std::move(eventfds[0])),
      swallowed_(std::move(eventfds[1])) {}

Machine::~Machine() { stop(); }

std::expected<void, sys::SetupError> Machine::make_cpus(unsigned count) {
  for (unsigned index = 0; index < count; ++index) {
    auto vcpu = vm_.make_vcpu({.index = index, .count = count});
    if (!vcpu) return std::unexpected(vcpu.error());
    cpus_.push_back(std::make_unique<Cpu>(std::move(*vcpu)));
  }
  return {};
}

std::expected<void, sys::SetupError> Machine::add(virtio::MmioDevice& device) {
  if (bus_.full()) {
    return failed(fmt::format("more than {} devices", kDevicesMax), 0, "use fewer --share");
  }
  UniqueFd interrupt = sys::open_event_fd();
  if (!interrupt.valid()) return failed("eventfd", errno);
  return bind(bus_.add(device, std::move(interrupt)));
}

std::expected<void, sys::SetupError> Machine::bind(MmioSlot& slot) {
  if (plan_.irqfd == Binding::kOn && vm_.has_irqfd()) {
    if (auto done = vm_.bind_interrupt(slot.fd(), slot.gsi()); !done) return done;
  }
  if (plan_.ioeventfd == Binding::kOff || !vm_.has_ioeventfd()) return {};
  const std::size_t index = bus_.size() - 1;
  const std::uint64_t address = MmioBus::address_of(index) + MmioSlot::kQueueNotify;
  for (std::size_t queue = 0; queue < slot.device().queue_count(); ++queue) {
    auto done =
        vm_.bind_notify(slot.device().kick_fd(queue), address, static_cast<std::uint32_t>(queue));
    if (!done) return done;
  }
  if (plan_.registers == Binding::kOff || !vm_.has_read_only_memory()) return {};
  return map_registers(slot, index);
}

// An acknowledgement of kUsed alone means nothing then; one of a new configuration comes through.
std::expected<void, sys::SetupError> Machine::map_registers(MmioSlot& slot, std::size_t index) {
  slot.keep_used();
  const std::uint64_t address = MmioBus::address_of(index) + MmioSlot::kInterruptAck;
  auto bound = vm_.bind_notify(swallowed_.get(), address, virtio::InterruptStatus::kUsed);
  if (!bound) return bound;
  return vm_.map_read_only(MmioBus::page_of(index), slot.page());
}

std::expected<void, sys::SetupError> Machine::load(ByteView kernel, ByteView initramfs,
                                                   std::string_view command_line) {
  const auto image = parse_kernel(kernel);
  if (!image) return failed("the kernel: " + image.error());
  std::vector<AcpiDevice> devices;
  for (std::size_t i = 0; i < bus_.size(); ++i) {
    devices.push_back({.address = static_cast<std::uint32_t>(MmioBus::address_of(i)),
                       .size = static_cast<std::uint32_t>(kSlotBytes),
                       .gsi = bus_.slot(i).gsi()});
  }
  const auto tables = acpi_tables(
      kAcpiTables,
      {.cpus = static_cast<unsigned>(cpus_.size()), .ports = kAcpiPorts, .devices = devices});
  if (tables.size() > kAcpiTablesEnd - kAcpiTables) return failed("ACPI's tables are too large");
  std::ranges::copy(tables, ram_.low().subspan(kAcpiTables).begin());

  const auto done = load_kernel(ram_.low(), *image,
                                {.initramfs = initramfs,
                                 .command_line = command_line,
                                 .high_memory = ram_.size() - ram_.low().size(),
                                 .acpi_root_pointer = kAcpiTables});
  if (!done) return failed("the kernel: " + done.error());
  loaded_ = true;
  return cpus_.front()->vcpu.enter_at({.instruction = image->entry,
                                       .stack = kEntryStack,
                                       .boot_params = kBootParams,
                                       .page_tables = kPageTables,
                                       .descriptors = kDescriptorTable,
                                       .descriptor_bytes = kDescriptorTableBytes});
}

std::expected<void, sys::SetupError> Machine::start(const Confine& confine) {
  if (!loaded_) return failed("start a machine without a kernel");
  prepare_kick_signal();
  // Threads have the signals of whoever makes them until they choose their own.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  for (std::size_t i = 0; i < cpus_.size(); ++i) {
    Cpu& cpu = *cpus_[i];
    cpu.thread = std::thread([this, &cpu, confine] { run(cpu, confine); });
    ::pthread_setname_np(cpu.thread.native_handle(), fmt::format("sluice-cpu{}", i).c_str());
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::unique_lock lock(lock_);
  changed_.wait(lock, [this] { return confined_ == cpus_.size(); });
  if (failure_) return std::unexpected(*failure_);
  released_ = true;
  changed_.notify_all();
  return {};
}

bool Machine::may_run(const Confine& confine) {
  const auto confined = confine();
  std::unique_lock lock(lock_);
  if (!confined) failure_ = confined.error();
  ++confined_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return released_ || !running(); });
  return released_;
}

void Machine::run(Cpu& cpu, const Confine& confine) {
  take_kicks_only();
  if (!may_run(confine)) return;
  while (running()) {
    if (auto end = cpu.vcpu.run(board_)) finish(std::move(*end));
  }
}

void Machine::finish(MachineEnd end) {
  {
    const std::lock_guard guard(lock_);
    if (end_) return;
    end_ = std::move(end);
    ending_.store(true, std::memory_order_release);
    interrupt_cpus();
  }
  changed_.notify_all();
  sys::ring(sys::real_kernel(), ended_fd_.get());  // For the first and only time.
}

// Under the lock, so that no thread is joined meanwhile. A thread that came to an end can be
// signalled until then.
void Machine::interrupt_cpus() {
  for (const auto& cpu : cpus_) {
    cpu->vcpu.interrupt();
    if (cpu->thread.joinable()) ::pthread_kill(cpu->thread.native_handle(), kick_signal());
  }
}

void Machine::stop() {
  finish({EndKind::kStopped, "the machine was stopped"});
  for (const auto& cpu : cpus_) {
    if (cpu->thread.joinable()) cpu->thread.join();
  }
}

std::optional<MachineEnd> Machine::end() const {
  const std::lock_guard guard(lock_);
  return end_;
}

MachineCounts Machine::counts() const {
  MachineCounts sum;
  for (const auto& cpu : cpus_) {
    const ExitCounts& exits = cpu->vcpu.counts();
    sum.mmio += exits.of(ExitKind::kMmio);
    sum.port += exits.of(ExitKind::kPort);
    sum.halt += exits.of(ExitKind::kHalt);
    sum.interrupted += exits.of(ExitKind::kInterrupted);
    sum.other += exits.of(ExitKind::kOther);
  }
  sum.notifies = bus_.notifies();
  return sum;
}

std::vector<InterruptToWatch> Machine::interrupts_to_watch() const {
  std::vector<InterruptToWatch> watched;
  if (plan_.irqfd == Binding::kOn && vm_.has_irqfd()) return watched;
  for (std::size_t i = 0; i < bus_.size(); ++i) {
    watched.push_back({.fd = bus_.slot(i).fd(), .gsi = bus_.slot(i).gsi()});
  }
  return watched;
}

void Machine::pulse(unsigned gsi) { vm_.pulse(gsi); }

void Machine::Board::mmio_read(std::uint64_t address, MutableBytes into) {
  machine_.bus_.read(address, into);
}
void Machine::Board::mmio_write(std::uint64_t address, ByteView bytes) {
  machine_.bus_.write(address, bytes);
}
void Machine::Board::port_read(std::uint16_t port, MutableBytes into) {
  machine_.ports_.read(port, into);
}
void Machine::Board::port_write(std::uint16_t port, ByteView bytes) {
  if (auto end = machine_.ports_.write(port, bytes)) machine_.finish(std::move(*end));
}

}  // namespace sluice::box
