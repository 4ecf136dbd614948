#include "box/kvm/vcpu_state.h"

#include <bit>
#include <cstring>

namespace sluice::box {
namespace {

// Leaves and bits: Intel's manual, volume 2, CPUID; AMD's, volume 3, appendix E.
constexpr std::uint32_t kFeatures = 1;
constexpr std::uint32_t kIntelCaches = 4;
constexpr std::uint32_t kTopology = 0xb;
constexpr std::uint32_t kTopologyV2 = 0x1f;
constexpr std::uint32_t kAmdFeatures = 0x8000'0001;
constexpr std::uint32_t kAmdSizes = 0x8000'0008;
constexpr std::uint32_t kAmdTopology = 0x8000'001e;

constexpr std::uint32_t bit(unsigned number) { return std::uint32_t{1} << number; }

// `count` bits at `low` become `value`.
constexpr std::uint32_t with_field(std::uint32_t word, unsigned low, unsigned count,
                                   std::uint32_t value) {
  const std::uint32_t mask = (bit(count) - 1) << low;
  return (word & ~mask) | ((value << low) & mask);
}

// Of the APIC id, those that number the cores.
std::uint32_t core_bits(const CpuPlace& place) {
  return static_cast<std::uint32_t>(std::bit_width(place.count - 1));
}

void place_features(kvm_cpuid_entry2& leaf, const CpuidPlan& plan) {
  leaf.ecx |= bit(31);  // A hypervisor.
  if (plan.tsc_deadline) leaf.ecx |= bit(24);
  leaf.ebx = with_field(leaf.ebx, 24, 8, plan.place.index);
  leaf.ebx = with_field(leaf.ebx, 16, 8, plan.place.count);
  // HTT: the field above counts.
  leaf.edx = plan.place.count > 1 ? leaf.edx | bit(28) : leaf.edx & ~bit(28);
}

void place_leaf(kvm_cpuid_entry2& leaf, const CpuidPlan& plan) {
  const CpuPlace& place = plan.place;
  switch (leaf.function) {
    case kFeatures: place_features(leaf, plan); break;
    case kIntelCaches:
      if ((leaf.eax & 0x1f) != 0) leaf.eax = with_field(leaf.eax, 26, 6, place.count - 1);
      break;
    case kAmdFeatures:  // CmpLegacy: the count of leaf 1 is one of cores.
      leaf.ecx = place.count > 1 ? leaf.ecx | bit(1) : leaf.ecx & ~bit(1);
      break;
    case kAmdSizes:
      leaf.ecx = with_field(leaf.ecx, 0, 8, place.count - 1);
      leaf.ecx = with_field(leaf.ecx, 12, 4, core_bits(place));
      break;
    case kAmdTopology:
      leaf.eax = place.index;
      leaf.ebx = place.index & 0xff;  // A thread for each core.
      leaf.ecx = 0;                   // One node.
      break;
    default: break;
  }
}

kvm_cpuid_entry2 topology_leaf(std::uint32_t level, const CpuPlace& place) {
  kvm_cpuid_entry2 leaf{};
  leaf.function = kTopology;
  leaf.index = level;
  leaf.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
  leaf.ecx = level;
  leaf.edx = place.index;
  if (level == 0) {  // Threads.
    leaf.ebx = 1;
    leaf.ecx |= 1U << 8;
  } else if (level == 1) {  // Cores.
    leaf.eax = core_bits(place);
    leaf.ebx = place.count;
    leaf.ecx |= 2U << 8;
  }
  return leaf;
}

kvm_segment segment(std::uint16_t selector, std::uint8_t type) {
  kvm_segment flat{};
  flat.limit = 0xffff'ffff;
  flat.selector = selector;
  flat.type = type;
  flat.present = 1;
  flat.s = 1;
  flat.g = 1;
  return flat;
}

}  // namespace

std::vector<kvm_cpuid_entry2> cpuid_of(std::vector<kvm_cpuid_entry2> supported,
                                       const CpuidPlan& plan) {
  // The host's topology is not the guest's.
  std::erase_if(supported, [](const kvm_cpuid_entry2& leaf) {
    return leaf.function == kTopology || leaf.function == kTopologyV2;
  });
  bool has_topology = false;
  for (kvm_cpuid_entry2& leaf : supported) {
    place_leaf(leaf, plan);
    if (leaf.function == 0 && leaf.eax >= kTopology) has_topology = true;
  }
  for (std::uint32_t level = 0; has_topology && level < 3; ++level) {
    supported.push_back(topology_leaf(level, plan.place));
  }
  return supported;
}

void wire_local_interrupts(kvm_lapic_state& apic) {
  constexpr std::size_t kLint0 = 0x350;
  constexpr std::size_t kLint1 = 0x360;
  constexpr std::uint32_t kExternal = 0x700;
  constexpr std::uint32_t kNmi = 0x400;
  std::memcpy(apic.regs + kLint0, &kExternal, sizeof kExternal);
  std::memcpy(apic.regs + kLint1, &kNmi, sizeof kNmi);
}

void set_long_mode(kvm_sregs& registers, const EntryState& entry) {
  constexpr std::uint8_t kCode = 11;  // Executable, readable, accessed.
  constexpr std::uint8_t kData = 3;   // Writable, accessed.
  registers.cs = segment(0x10, kCode);
  registers.cs.l = 1;
  registers.ds = segment(0x18, kData);
  registers.ds.db = 1;
  registers.es = registers.fs = registers.gs = registers.ss = registers.ds;
  registers.gdt.base = entry.descriptors;
  registers.gdt.limit = static_cast<std::uint16_t>(entry.descriptor_bytes - 1);
  registers.idt.base = 0;
  registers.idt.limit = 0;
  registers.cr3 = entry.page_tables;
  registers.cr4 = 0x20;         // PAE.
  registers.cr0 = 0x8000'0031;  // PG, NE, ET, PE.
  registers.efer = 0x500;       // LMA, LME.
}

kvm_regs registers_at(const EntryState& entry) {
  kvm_regs registers{};
  registers.rip = entry.instruction;
  registers.rsp = entry.stack;
  registers.rsi = entry.boot_params;
  registers.rflags = 2;  // The bit that is always set; interrupts are off.
  return registers;
}

}  // namespace sluice::box
