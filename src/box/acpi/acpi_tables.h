// The ACPI tables of a machine without firmware (ACPI 6.5): RSDP, XSDT, a hardware-reduced FADT
// without 8042, CMOS clock and VGA, MADT, and a DSDT that names the virtio-mmio devices. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sluice::box {

struct AcpiDevice {
  std::uint32_t address = 0;  // Of its registers.
  std::uint32_t size = 0;
  std::uint32_t gsi = 0;
};

// Two registers of ACPI and one of ours, a byte each, in I/O space.
struct AcpiPorts {
  std::uint16_t sleep_control = 0;
  std::uint16_t sleep_status = 0;
  std::uint16_t reset = 0;
};

// What is written there when the system is to be reset.
inline constexpr std::uint8_t kAcpiResetValue = 0x42;
// The sleep control register: SLP_EN is this bit, and SLP_TYP, from bit 2 on, is this value for S5
// (4.8.3.7), by the DSDT's \_S5.
inline constexpr std::uint8_t kAcpiSleepEnable = 0x20;
inline constexpr std::uint8_t kAcpiSoftOff = 5;

struct AcpiPlan {
  unsigned cpus = 1;
  AcpiPorts ports{};
  std::span<const AcpiDevice> devices{};
};

// The tables as one block for guest-physical `address`, which is a multiple of 16; the RSDP is at
// its beginning.
[[nodiscard]] std::vector<std::uint8_t> acpi_tables(std::uint64_t address, const AcpiPlan& plan);

}  // namespace sluice::box
