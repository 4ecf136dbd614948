#include "box/acpi/acpi_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "box/acpi/aml.h"

namespace sluice::box {
namespace {

using Table = std::vector<std::uint8_t>;

constexpr std::size_t kLengthOffset = 4;
constexpr std::size_t kChecksumOffset = 9;
constexpr std::uint32_t kLocalApic = 0xfee0'0000;
constexpr std::uint32_t kIoApic = 0xfec0'0000;

void put_text(Table& table, std::string_view text) {
  for (const char c : text) table.push_back(static_cast<std::uint8_t>(c));
}

void put_le(Table& table, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    table.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
}

void set_le(Table& table, std::size_t offset, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    table[offset + i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

// What makes the bytes' sum zero.
std::uint8_t checksum(std::span<const std::uint8_t> bytes) {
  unsigned sum = 0;
  for (const std::uint8_t byte : bytes) sum += byte;
  return static_cast<std::uint8_t>(0x100 - (sum & 0xff));
}

// 5.2.6: length and checksum are filled in by finish().
Table begin(std::string_view signature, std::uint8_t revision) {
  Table table;
  put_text(table, signature);
  put_le(table, 0, 4);
  put_le(table, revision, 1);
  put_le(table, 0, 1);
  put_text(table, "SLUICE");
  put_text(table, "SLUICBOX");
  put_le(table, 1, 4);
  put_text(table, "SLCE");
  put_le(table, 1, 4);
  return table;
}

Table finish(Table table) {
  set_le(table, kLengthOffset, table.size(), 4);
  table[kChecksumOffset] = checksum(table);
  return table;
}

// 5.2.3.2: a byte in I/O space.
void set_port(Table& table, std::size_t offset, std::uint16_t port) {
  table[offset] = 1;      // System I/O.
  table[offset + 1] = 8;  // Bits.
  table[offset + 3] = 1;  // Accessed as a byte.
  set_le(table, offset + 4, port, 8);
}

Table make_fadt(std::uint64_t dsdt, const AcpiPorts& ports) {
  constexpr std::size_t kBytes = 276;
  constexpr std::size_t kBootFlags = 109;
  constexpr std::size_t kFlags = 112;
  constexpr std::size_t kResetRegister = 116;
  constexpr std::size_t kResetValue = 128;
  constexpr std::size_t kMinorVersion = 131;
  constexpr std::size_t kDsdtAddress = 140;
  constexpr std::size_t kSleepControl = 244;
  constexpr std::size_t kSleepStatus = 256;
  // 5.2.9: WBINVD works, no power and sleep buttons, a reset register, hardware-reduced.
  constexpr std::uint32_t kFlagBits = 1U << 0 | 1U << 4 | 1U << 5 | 1U << 10 | 1U << 20;
  // No VGA, no CMOS clock; that there is no 8042 is said by its bit, which is not set.
  constexpr std::uint32_t kBootFlagBits = 1U << 2 | 1U << 5;

  Table table = begin("FACP", 6);
  table.resize(kBytes);
  set_le(table, kBootFlags, kBootFlagBits, 2);
  set_le(table, kFlags, kFlagBits, 4);
  set_port(table, kResetRegister, ports.reset);
  table[kResetValue] = kAcpiResetValue;
  table[kMinorVersion] = 5;
  set_le(table, kDsdtAddress, dsdt, 8);
  set_port(table, kSleepControl, ports.sleep_control);
  set_port(table, kSleepStatus, ports.sleep_status);
  return finish(std::move(table));
}

Table make_madt(unsigned cpus) {
  Table table = begin("APIC", 5);
  put_le(table, kLocalApic, 4);
  put_le(table, 0, 4);  // No PIC.
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    put_le(table, 0, 1);  // A processor with its local APIC (5.2.12.2).
    put_le(table, 8, 1);
    put_le(table, cpu, 1);
    put_le(table, cpu, 1);
    put_le(table, 1, 4);  // Enabled.
  }
  put_le(table, 1, 1);  // An I/O APIC (5.2.12.3).
  put_le(table, 12, 1);
  put_le(table, 0, 2);
  put_le(table, kIoApic, 4);
  put_le(table, 0, 4);
  put_le(table, 4, 1);  // All processors have the NMI at LINT1 (5.2.12.7).
  put_le(table, 6, 1);
  put_le(table, 0xff, 1);
  put_le(table, 0, 2);
  put_le(table, 1, 1);
  return finish(std::move(table));
}

aml::Code device_code(std::uint32_t number, const AcpiDevice& device) {
  return aml::device(
      fmt::format("V{:03}", number),
      aml::join({aml::name("_HID", aml::string("LNRO0005")),
                 aml::name("_UID", aml::integer(number)),
                 aml::name("_CRS", aml::resources({aml::memory(device.address, device.size),
                                                   aml::interrupt(device.gsi)}))}));
}

Table make_dsdt(std::span<const AcpiDevice> devices) {
  std::vector<aml::Code> all;
  for (const AcpiDevice& device : devices) {
    all.push_back(device_code(static_cast<std::uint32_t>(all.size()), device));
  }
  const aml::Code off = aml::integer(kAcpiSoftOff);
  const aml::Code code =
      aml::join({aml::scope("\\_SB_", aml::join(all)),
                 aml::name("\\_S5_", aml::package({off, off, aml::integer(0), aml::integer(0)}))});
  Table table = begin("DSDT", 2);
  table.insert(table.end(), code.begin(), code.end());
  return finish(std::move(table));
}

Table make_xsdt(std::initializer_list<std::uint64_t> tables) {
  Table table = begin("XSDT", 1);
  for (const std::uint64_t address : tables) put_le(table, address, 8);
  return finish(std::move(table));
}

// 5.2.5.3.
Table make_rsdp(std::uint64_t xsdt) {
  constexpr std::size_t kFirstBytes = 20;
  constexpr std::size_t kBytes = 36;
  Table table;
  put_text(table, "RSD PTR ");
  put_le(table, 0, 1);
  put_text(table, "SLUICE");
  put_le(table, 2, 1);
  put_le(table, 0, 4);  // No RSDT.
  put_le(table, kBytes, 4);
  put_le(table, xsdt, 8);
  put_le(table, 0, 4);
  table[8] = checksum(std::span(table).first(kFirstBytes));
  table[32] = checksum(table);
  return table;
}

// Tables one after another, each at a multiple of 16.
class Block {
 public:
  explicit Block(std::uint64_t address) : address_(address) {}

  std::uint64_t add(const Table& table) {
    bytes_.resize((bytes_.size() + 15) / 16 * 16);
    const std::uint64_t at = address_ + bytes_.size();
    bytes_.insert(bytes_.end(), table.begin(), table.end());
    return at;
  }
  void replace_first(const Table& table) { std::ranges::copy(table, bytes_.begin()); }
  [[nodiscard]] Table take() && { return std::move(bytes_); }

 private:
  std::uint64_t address_;
  Table bytes_;
};

}  // namespace

std::vector<std::uint8_t> acpi_tables(std::uint64_t address, const AcpiPlan& plan) {
  Block block(address);
  block.add(make_rsdp(0));  // Until it is known where the XSDT lies.
  const std::uint64_t dsdt = block.add(make_dsdt(plan.devices));
  const std::uint64_t fadt = block.add(make_fadt(dsdt, plan.ports));
  const std::uint64_t madt = block.add(make_madt(plan.cpus));
  const std::uint64_t xsdt = block.add(make_xsdt({fadt, madt}));
  block.replace_first(make_rsdp(xsdt));
  return std::move(block).take();
}

}  // namespace sluice::box
