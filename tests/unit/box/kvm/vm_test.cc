#include "box/kvm/vm.h"

#include <gtest/gtest.h>

#include "box/kvm/guest_ram.h"
#include "unit/box/fake_kvm.h"

namespace sluice::box {
namespace {

std::string refusal(FakeKvm& kvm) {
  const auto made = Vm::create(kvm, Vm::Interrupts::kInKernel);
  return made ? "" : made.error().describe();
}

TEST(AVm, SaysWhatToDoWhereThereIsNoKvm) {
  FakeKvm kvm;
  kvm.open_error = ENOENT;
  EXPECT_EQ(refusal(kvm),
            "/dev/kvm: No such file or directory; this machine has no KVM: switch on "
            "virtualisation (VT-x, AMD-V) in its firmware and load kvm_intel or kvm_amd; in a "
            "virtual machine, switch on nested virtualisation");
}

TEST(AVm, SaysWhatToDoWhereKvmIsNotPermitted) {
  FakeKvm kvm;
  kvm.open_error = EACCES;
  EXPECT_EQ(refusal(kvm),
            "/dev/kvm: Permission denied; allow yourself to use KVM, as root: adduser USER kvm, "
            "and log in again");
}

TEST(AVm, RefusesAKvmThatLacksSomething) {
  FakeKvm kvm;
  kvm.extensions[KVM_CAP_IMMEDIATE_EXIT] = 0;
  EXPECT_EQ(refusal(kvm), "/dev/kvm: this kernel's KVM lacks KVM_CAP_IMMEDIATE_EXIT");
  FakeKvm old;
  old.api_version = 11;
  EXPECT_EQ(refusal(old), "/dev/kvm: its API has not version 12");
}

TEST(AVm, KnowsWhichBindingsThereAre) {
  FakeKvm kvm;
  kvm.extensions[KVM_CAP_IRQFD] = 0;
  const auto made = Vm::create(kvm, Vm::Interrupts::kInKernel);
  ASSERT_TRUE(made);
  EXPECT_FALSE(made->has_irqfd());
  EXPECT_TRUE(made->has_ioeventfd());
}

TEST(AVm, MapsAllMemory) {
  FakeKvm kvm;
  auto vm = Vm::create(kvm, Vm::Interrupts::kInKernel);
  ASSERT_TRUE(vm);
  const auto ram = GuestRam::create(kDeviceHole + (64 << 20));
  ASSERT_TRUE(ram);
  ASSERT_TRUE(vm->use_memory(ram->memory()));
  ASSERT_EQ(kvm.memory.size(), 2U);
  EXPECT_EQ(kvm.memory[0].guest_phys_addr, 0U);
  EXPECT_EQ(kvm.memory[0].memory_size, kDeviceHole);
  EXPECT_EQ(kvm.memory[1].slot, 1U);
  EXPECT_EQ(kvm.memory[1].guest_phys_addr, kHighMemory);
  EXPECT_EQ(kvm.memory[1].userspace_addr, kvm.memory[0].userspace_addr + kDeviceHole);
}

TEST(AVm, BindsNotifiesByTheirValueAndInterruptsByTheirLine) {
  FakeKvm kvm;
  auto vm = Vm::create(kvm, Vm::Interrupts::kInKernel);
  ASSERT_TRUE(vm);
  ASSERT_TRUE(vm->bind_notify(7, 0xd000'1050, 3));
  ASSERT_EQ(kvm.notifies.size(), 1U);
  EXPECT_EQ(kvm.notifies[0].addr, 0xd000'1050U);
  EXPECT_EQ(kvm.notifies[0].len, 4U);
  EXPECT_EQ(kvm.notifies[0].datamatch, 3U);
  EXPECT_EQ(kvm.notifies[0].flags, std::uint32_t{KVM_IOEVENTFD_FLAG_DATAMATCH});
  ASSERT_TRUE(vm->bind_interrupt(8, 5));
  ASSERT_EQ(kvm.interrupts.size(), 1U);
  EXPECT_EQ(kvm.interrupts[0].gsi, 5U);
  vm->pulse(6);
  ASSERT_EQ(kvm.levels.size(), 2U);
  EXPECT_EQ(kvm.levels[0].irq, 6U);
  EXPECT_EQ(kvm.levels[0].level, 1U);
  EXPECT_EQ(kvm.levels[1].level, 0U);
}

TEST(AVm, SaysWhichProcessorFailed) {
  FakeKvm kvm;
  kvm.errors[KVM_CREATE_VCPU] = EINVAL;
  auto vm = Vm::create(kvm, Vm::Interrupts::kInKernel);
  ASSERT_TRUE(vm);
  const auto made = vm->make_vcpu({.index = 3, .count = 4});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().describe(),
            "processor 3 of the machine: Invalid argument; fewer processors (--cpus) may do");
}

}  // namespace
}  // namespace sluice::box
