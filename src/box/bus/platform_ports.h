// The I/O ports of a machine that is hardly a PC: COM1, ACPI's registers that end it, and answers
// for what kernels ask all the same, so that none of them waits for a device that is not there.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "box/acpi/acpi_tables.h"
#include "box/bus/serial_port.h"
#include "box/kvm/machine_end.h"

namespace sluice::box {

inline constexpr AcpiPorts kAcpiPorts{
    .sleep_control = 0x600, .sleep_status = 0x601, .reset = 0x602};

// Safe from any thread.
class PlatformPorts {
 public:
  // Outlives this.
  explicit PlatformPorts(SerialPort& serial) : serial_(serial) {}

  void read(std::uint16_t port, MutableBytes into);
  // The machine's end, if it was asked for.
  [[nodiscard]] std::optional<MachineEnd> write(std::uint16_t port, ByteView bytes);

 private:
  SerialPort& serial_;
};

}  // namespace sluice::box
