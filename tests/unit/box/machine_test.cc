#include "box/machine.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "unit/box/boot/test_kernel.h"
#include "unit/box/fake_device.h"
#include "unit/box/fake_kvm.h"

namespace sluice::box {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

std::expected<void, sys::SetupError> unconfined() { return {}; }

bool ended(const Machine& machine, int timeout_ms = 60'000) {
  pollfd watched{.fd = machine.ended_fd(), .events = POLLIN, .revents = 0};
  return ::poll(&watched, 1, timeout_ms) == 1;
}

class AMachine : public ::testing::Test {
 protected:
  std::unique_ptr<Machine> build(MachinePlan plan = {}) {
    plan.memory = 64 * kMiB;
    auto made = Machine::build(plan, kvm_);
    EXPECT_TRUE(made) << made.error().describe();
    return std::move(*made);
  }
  std::unique_ptr<Machine> loaded(MachinePlan plan = {}) {
    auto machine = build(plan);
    EXPECT_TRUE(machine->load(test_bzimage(), {}, "quiet"));
    return machine;
  }

  FakeKvm kvm_;  // Outlives the machines.
};

TEST_F(AMachine, EndsAsItsGuestAsks) {
  kvm_.runs[0] = FakeKvm::in_order(
      {FakeKvm::port_write(0x3f8, 'x'), FakeKvm::port_write(0x600, 5 << 2 | 0x20)});
  const auto machine = loaded({.cpus = 2});
  EXPECT_FALSE(machine->end());
  ASSERT_TRUE(machine->start(unconfined));
  ASSERT_TRUE(ended(*machine));
  EXPECT_EQ(machine->end()->kind, EndKind::kPoweredOff);
  machine->stop();
  EXPECT_EQ(machine->end()->kind, EndKind::kPoweredOff);
  EXPECT_EQ(machine->counts().port, 2U);
  EXPECT_EQ(machine->serial_tail(), "x");
}

TEST_F(AMachine, AGuestThatHangsIsStopped) {
  const auto machine = loaded({.cpus = 3});
  ASSERT_TRUE(machine->start(unconfined));
  EXPECT_FALSE(ended(*machine, 0));
  machine->stop();
  EXPECT_TRUE(ended(*machine, 0));
  EXPECT_EQ(machine->end()->kind, EndKind::kStopped);
  machine->stop();
}

TEST_F(AMachine, NeedsNoStart) {
  const auto machine = build();
  EXPECT_FALSE(machine->start(unconfined));  // There is no kernel.
  machine->stop();
}

TEST_F(AMachine, RunsNothingThatIsNotConfined) {
  std::atomic<int> runs = 0;
  kvm_.runs[0] = [&runs](kvm_run& run) {
    ++runs;
    return FakeKvm::wait(run);
  };
  kvm_.runs[1] = kvm_.runs[0];
  std::atomic<int> asked = 0;
  const auto machine = loaded({.cpus = 2});
  const auto started = machine->start([&asked]() -> std::expected<void, sys::SetupError> {
    if (++asked == 1) return {};
    return std::unexpected(sys::SetupError{"no filter", 0, ""});
  });
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().describe(), "no filter");
  machine->stop();
  EXPECT_EQ(runs, 0);
}

TEST_F(AMachine, KvmTakesNotificationsAndInterrupts) {
  FakeDevice device(2);
  const auto machine = build();
  ASSERT_TRUE(machine->add(device));
  ASSERT_EQ(kvm_.notifies.size(), 3U);
  EXPECT_EQ(kvm_.notifies[1].addr, 0xd000'0f50U);
  EXPECT_EQ(kvm_.notifies[1].datamatch, 1U);
  EXPECT_EQ(kvm_.notifies[1].fd, device.kick_fd(1));
  ASSERT_EQ(kvm_.interrupts.size(), 1U);
  EXPECT_EQ(kvm_.interrupts[0].gsi, 5U);
  EXPECT_EQ(static_cast<int>(kvm_.interrupts[0].fd), device.interrupt().fd());
  EXPECT_TRUE(machine->interrupts_to_watch().empty());
}

// So that its handler neither reads the status nor acknowledges it with an exit.
TEST_F(AMachine, AnInterruptNeedsNoExit) {
  FakeDevice device(2);
  const auto machine = build();
  const std::size_t before = kvm_.memory.size();
  ASSERT_TRUE(machine->add(device));
  ASSERT_EQ(kvm_.notifies.size(), 3U);
  EXPECT_EQ(kvm_.notifies[2].addr, 0xd000'0f64U);
  EXPECT_EQ(kvm_.notifies[2].datamatch, 1U);
  ASSERT_EQ(kvm_.memory.size(), before + 1);
  EXPECT_EQ(kvm_.memory[before].flags, std::uint32_t{KVM_MEM_READONLY});
  EXPECT_EQ(kvm_.memory[before].guest_phys_addr, 0xd000'0000U);
  EXPECT_EQ(kvm_.memory[before].memory_size, 4096U);
  const auto* words = reinterpret_cast<const std::uint32_t*>(kvm_.memory[before].userspace_addr);
  EXPECT_EQ(words[0xf00 / 4], 0x7472'6976U);
  EXPECT_EQ(words[0xf60 / 4], 1U);
}

TEST_F(AMachine, RegistersAreNotMappedWhereTheyShallNotOrCannotBe) {
  const auto mapped = [this](const MachinePlan& plan) {
    const auto machine = build(plan);
    const std::size_t before = kvm_.memory.size();
    FakeDevice device(1);
    EXPECT_TRUE(machine->add(device));
    return kvm_.memory.size() - before;
  };
  EXPECT_EQ(mapped({}), 1U);
  EXPECT_EQ(mapped({.registers = Binding::kOff}), 0U);
  EXPECT_EQ(mapped({.ioeventfd = Binding::kOff}), 0U);
  kvm_.extensions[KVM_CAP_READONLY_MEM] = 0;
  EXPECT_EQ(mapped({}), 0U);
}

TEST_F(AMachine, DoesWithoutThem) {
  FakeDevice device(2);
  const auto machine = build({.irqfd = Binding::kOff, .ioeventfd = Binding::kOff});
  ASSERT_TRUE(machine->add(device));
  EXPECT_TRUE(kvm_.notifies.empty());
  EXPECT_TRUE(kvm_.interrupts.empty());
  const auto watched = machine->interrupts_to_watch();
  ASSERT_EQ(watched.size(), 1U);
  EXPECT_EQ(watched[0].fd, device.interrupt().fd());
  machine->pulse(watched[0].gsi);
  EXPECT_EQ(kvm_.pulsed().size(), 2U);
}

TEST_F(AMachine, DoesWithoutThemWhereKvmLacksThem) {
  kvm_.extensions[KVM_CAP_IRQFD] = 0;
  kvm_.extensions[KVM_CAP_IOEVENTFD] = 0;
  FakeDevice device(1);
  const auto machine = build();
  ASSERT_TRUE(machine->add(device));
  EXPECT_TRUE(kvm_.notifies.empty());
  EXPECT_EQ(machine->interrupts_to_watch().size(), 1U);
}

TEST_F(AMachine, ANotificationWithoutIoeventfdReachesTheDevice) {
  FakeDevice device(2);
  kvm_.runs[0] = FakeKvm::in_order({[](kvm_run& run) {
                                      run.exit_reason = KVM_EXIT_MMIO;
                                      run.mmio.phys_addr = 0xd000'0f50;
                                      run.mmio.len = 4;
                                      run.mmio.is_write = 1;
                                      run.mmio.data[0] = 1;
                                      return 0;
                                    },
                                    FakeKvm::port_write(0x600, 5 << 2 | 0x20)});
  const auto machine = build({.ioeventfd = Binding::kOff});
  ASSERT_TRUE(machine->add(device));
  ASSERT_TRUE(machine->load(test_bzimage(), {}, ""));
  ASSERT_TRUE(machine->start(unconfined));
  ASSERT_TRUE(ended(*machine));
  machine->stop();
  EXPECT_EQ(device.kicked(1), 1U);
  EXPECT_EQ(machine->counts().notifies, 1U);
}

TEST_F(AMachine, BeginsAtTheKernelWithItsTables) {
  const auto machine = loaded();
  EXPECT_EQ(kvm_.registers.rip, 0x100'0200U);
  EXPECT_EQ(kvm_.registers.rsi, 0x7000U);
  EXPECT_EQ(kvm_.special.efer, 0x500U);
  const MutableBytes tables = machine->memory().find(0xe'0000, 8);
  EXPECT_EQ(std::string(tables.begin(), tables.end()), "RSD PTR ");
}

TEST_F(AMachine, SaysWhyAKernelIsNone) {
  const auto machine = build();
  const std::vector<std::uint8_t> file(5000);
  const auto done = machine->load(file, {}, "");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().describe(),
            "the kernel: it is no Linux kernel: neither a bzImage (vmlinuz) nor an ELF vmlinux");
}

TEST_F(AMachine, HasRoomForSoManyDevicesAndProcessors) {
  std::vector<std::unique_ptr<FakeDevice>> devices;
  const auto machine = build();
  for (std::size_t i = 0; i < kDevicesMax; ++i) {
    devices.push_back(std::make_unique<FakeDevice>(1));
    ASSERT_TRUE(machine->add(*devices.back()));
  }
  FakeDevice one_more(1);
  EXPECT_FALSE(machine->add(one_more));
  EXPECT_FALSE(Machine::build({.cpus = kCpusMax + 1}, kvm_));
  EXPECT_FALSE(Machine::build({.cpus = 0}, kvm_));
}

}  // namespace
}  // namespace sluice::box
