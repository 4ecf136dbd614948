// What lies where in a guest's first megabyte when its kernel begins. The kernel finds it by the
// boot parameters and by its registers, so that the places are ours to choose.
#pragma once

#include <cstdint>

namespace sluice::box {

inline constexpr std::uint64_t kDescriptorTable = 0x500;
inline constexpr std::uint64_t kBootParams = 0x7000;  // One page.
inline constexpr std::uint64_t kEntryStack = 0x8ff0;  // Grows down.
inline constexpr std::uint64_t kPageTables = 0x9000;  // Six pages.
inline constexpr std::uint64_t kCommandLine = 0x2'0000;
inline constexpr std::uint64_t kLowMemoryEnd = 0x9'fc00;  // Where a PC has its EBDA.
// ACPI's tables, where a kernel without a word from its loader looks for them, too.
inline constexpr std::uint64_t kAcpiTables = 0xe'0000;
inline constexpr std::uint64_t kAcpiTablesEnd = 0x10'0000;

}  // namespace sluice::box
