#include "box/bus/platform_ports.h"

#include <algorithm>

namespace sluice::box {
namespace {

constexpr std::uint16_t kPitGate = 0x61;       // And the speaker's.
constexpr std::uint16_t kKeyboard = 0x64;      // The 8042's status and commands.
constexpr std::uint16_t kCmosData = 0x71;      // Ones read as an update that never ends.
constexpr std::uint8_t kKeyboardReset = 0xfe;  // How a PC's kernel resets it, if all else failed.

bool is_serial(std::uint16_t port) {
  return port >= SerialPort::kFirst && port <= SerialPort::kLast;
}

// A kernel that panics asks for a reset as any other (panic=-1): only its console tells.
std::optional<MachineEnd> reset(const SerialPort& serial) {
  if (serial.panicked()) return MachineEnd{EndKind::kPanicked, "the guest's kernel panicked"};
  return MachineEnd{EndKind::kReset, "the guest was rebooted from within, which ends it"};
}

}  // namespace

void PlatformPorts::read(std::uint16_t port, MutableBytes into) {
  if (is_serial(port)) {
    std::ranges::fill(into, std::uint8_t{0xff});
    into[0] = serial_.read(port);
    return;
  }
  const bool zero = port == kPitGate || port == kKeyboard || port == kCmosData ||
                    port == kAcpiPorts.sleep_control || port == kAcpiPorts.sleep_status;
  std::ranges::fill(into, zero ? std::uint8_t{0} : std::uint8_t{0xff});
}

std::optional<MachineEnd> PlatformPorts::write(std::uint16_t port, ByteView bytes) {
  const std::uint8_t value = bytes[0];
  if (is_serial(port)) {
    serial_.write(port, value);
    return std::nullopt;
  }
  if (port == kAcpiPorts.sleep_control && (value & kAcpiSleepEnable) != 0 &&
      (value >> 2 & 7) == kAcpiSoftOff) {
    return MachineEnd{EndKind::kPoweredOff, "the guest powered itself off"};
  }
  if (port == kAcpiPorts.reset && value == kAcpiResetValue) return reset(serial_);
  if (port == kKeyboard && value == kKeyboardReset) return reset(serial_);
  return std::nullopt;
}

}  // namespace sluice::box
