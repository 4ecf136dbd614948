#include "box/kvm/vcpu_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace sluice::box {
namespace {

kvm_cpuid_entry2 leaf(std::uint32_t function, std::uint32_t index = 0) {
  kvm_cpuid_entry2 made{};
  made.function = function;
  made.index = index;
  return made;
}

const kvm_cpuid_entry2* find(const std::vector<kvm_cpuid_entry2>& leaves, std::uint32_t function,
                             std::uint32_t index = 0) {
  const auto found = std::ranges::find_if(leaves, [&](const kvm_cpuid_entry2& one) {
    return one.function == function && one.index == index;
  });
  return found == leaves.end() ? nullptr : &*found;
}

TEST(VcpuState, AGuestKnowsThatItRunsUnderAHypervisor) {
  const auto leaves = cpuid_of({leaf(1)}, {.place = {.index = 0, .count = 1}});
  EXPECT_EQ(find(leaves, 1)->ecx, 1U << 31);
  EXPECT_EQ(find(leaves, 1)->edx & 1U << 28, 0U);
}

TEST(VcpuState, TheDeadlineTimerIsThereIfKvmHasIt) {
  const CpuidPlan plan{.place = {.index = 0, .count = 1}, .tsc_deadline = true};
  EXPECT_EQ(find(cpuid_of({leaf(1)}, plan), 1)->ecx, 1U << 31 | 1U << 24);
}

TEST(VcpuState, EachProcessorHasItsPlaceAmongTheOthers) {
  auto host =
      std::vector{leaf(0),    leaf(1),           leaf(4),           leaf(0xb),        leaf(0xb, 1),
                  leaf(0x1f), leaf(0x8000'0001), leaf(0x8000'0008), leaf(0x8000'001e)};
  host[0].eax = 0x1f;
  host[1].ebx = 0x7710'0800;
  host[2].eax = 0xfc00'4121;
  host[3].edx = 77;
  const auto leaves = cpuid_of(host, {.place = {.index = 2, .count = 3}});
  EXPECT_EQ(find(leaves, 1)->ebx, 0x0203'0800U);
  EXPECT_NE(find(leaves, 1)->edx & 1U << 28, 0U);
  EXPECT_EQ(find(leaves, 4)->eax, 0x0800'4121U);
  EXPECT_EQ(find(leaves, 0x1f), nullptr);
  EXPECT_EQ(find(leaves, 0xb, 0)->eax, 0U);
  EXPECT_EQ(find(leaves, 0xb, 0)->ebx, 1U);
  EXPECT_EQ(find(leaves, 0xb, 0)->ecx, 0x100U);
  EXPECT_EQ(find(leaves, 0xb, 0)->edx, 2U);
  EXPECT_EQ(find(leaves, 0xb, 1)->eax, 2U);  // Two bits number three cores.
  EXPECT_EQ(find(leaves, 0xb, 1)->ebx, 3U);
  EXPECT_EQ(find(leaves, 0xb, 1)->ecx, 0x201U);
  EXPECT_EQ(find(leaves, 0xb, 2)->ebx, 0U);
  EXPECT_EQ(find(leaves, 0x8000'0001)->ecx, 2U);
  EXPECT_EQ(find(leaves, 0x8000'0008)->ecx, 0x2002U);
  EXPECT_EQ(find(leaves, 0x8000'001e)->eax, 2U);
}

TEST(VcpuState, AnOldProcessorGetsNoLeafBeyondItsLast) {
  auto host = std::vector{leaf(0), leaf(1)};
  host[0].eax = 7;
  EXPECT_EQ(find(cpuid_of(host, {.place = {.index = 0, .count = 2}}), 0xb), nullptr);
}

TEST(VcpuState, LocalInterruptsAreWiredAsFirmwareDoesIt) {
  kvm_lapic_state apic{};
  wire_local_interrupts(apic);
  std::uint32_t lint[2];
  std::memcpy(&lint[0], apic.regs + 0x350, 4);
  std::memcpy(&lint[1], apic.regs + 0x360, 4);
  EXPECT_EQ(lint[0], 0x700U);
  EXPECT_EQ(lint[1], 0x400U);
}

TEST(VcpuState, TheFirstProcessorBeginsIn64BitMode) {
  const EntryState entry{.instruction = 0x100'0200,
                         .stack = 0x8000,
                         .boot_params = 0x7000,
                         .page_tables = 0x9000,
                         .descriptors = 0x500,
                         .descriptor_bytes = 32};
  kvm_sregs special{};
  set_long_mode(special, entry);
  EXPECT_EQ(special.cs.selector, 0x10);
  EXPECT_EQ(special.cs.l, 1);
  EXPECT_EQ(special.cs.db, 0);
  EXPECT_EQ(special.ss.selector, 0x18);
  EXPECT_EQ(special.ss.db, 1);
  EXPECT_EQ(special.gdt.limit, 31);
  EXPECT_EQ(special.cr3, 0x9000U);
  EXPECT_NE(special.cr0 & 0x8000'0001U, 0U);
  EXPECT_EQ(special.efer, 0x500U);
  const kvm_regs registers = registers_at(entry);
  EXPECT_EQ(registers.rip, 0x100'0200U);
  EXPECT_EQ(registers.rsi, 0x7000U);
  EXPECT_EQ(registers.rflags, 2U);  // Interrupts are off.
}

}  // namespace
}  // namespace sluice::box
