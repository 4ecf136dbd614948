// What a processor is before its first instruction: its CPUID, local APIC and registers. Pure
// functions over KVM's structures.
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <vector>

namespace sluice::box {

// Which of the machine's processors. All are cores of one package, with one thread each.
struct CpuPlace {
  unsigned index = 0;  // Its APIC id, too.
  unsigned count = 1;
};

struct CpuidPlan {
  CpuPlace place;
  bool tsc_deadline = false;  // KVM has that timer, which the supported leaves need not say.
};

// Of what KVM supports, what this processor says: that it runs under a hypervisor (without that
// bit, Linux looks for no kvm-clock), and where it stands among the others.
[[nodiscard]] std::vector<kvm_cpuid_entry2> cpuid_of(std::vector<kvm_cpuid_entry2> supported,
                                                     const CpuidPlan& plan);

// As firmware leaves it: LINT0 takes a PIC's interrupts, LINT1 is the NMI.
void wire_local_interrupts(kvm_lapic_state& apic);

// Where the first processor begins in 64-bit mode, without paging of its own making.
struct EntryState {
  std::uint64_t instruction = 0;  // RIP.
  std::uint64_t stack = 0;        // RSP.
  std::uint64_t boot_params = 0;  // RSI.
  std::uint64_t page_tables = 0;  // CR3.
  std::uint64_t descriptors = 0;  // Of the GDT: 0x10 is code, 0x18 is data.
  std::uint16_t descriptor_bytes = 0;
};

void set_long_mode(kvm_sregs& registers, const EntryState& entry);
[[nodiscard]] kvm_regs registers_at(const EntryState& entry);

}  // namespace sluice::box
