// KVM's structures that end in an array whose length they begin with. The kernel's own (struct
// kvm_cpuid2, struct kvm_msrs) have another size in C++ than in C, where their array begins at byte
// 8: an empty struct before it has a size here. The requests' numbers contain that size, too.
#pragma once

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::box {

template <typename Entry, std::size_t Count>
struct KvmTable {
  static constexpr std::size_t kEntriesMax = Count;

  std::uint32_t count = 0;
  std::uint32_t padding = 0;
  std::array<Entry, Count> entries{};
};

// More leaves than any processor has had (KVM_MAX_CPUID_ENTRIES of Linux).
using CpuidTable = KvmTable<kvm_cpuid_entry2, 256>;
using MsrTable = KvmTable<kvm_msr_entry, 2>;
static_assert(offsetof(CpuidTable, entries) == 8 && offsetof(MsrTable, entries) == 8);

// A request's number knows the size of what stands before the array.
using KvmTableHeader = std::uint64_t;
inline constexpr unsigned long kKvmGetSupportedCpuid = _IOWR(KVMIO, 0x05, KvmTableHeader);
inline constexpr unsigned long kKvmSetCpuid2 = _IOW(KVMIO, 0x90, KvmTableHeader);
inline constexpr unsigned long kKvmSetMsrs = _IOW(KVMIO, 0x89, KvmTableHeader);

}  // namespace sluice::box
