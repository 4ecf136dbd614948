#include "virtio/console/console_control.h"

namespace sluice::virtio {

std::optional<ConsoleControl> parse_console_control(ByteView bytes) {
  if (bytes.size() < kConsoleControlSize) return std::nullopt;
  const auto u16 = [&](std::size_t at) {
    return static_cast<std::uint16_t>(bytes[at] | (std::uint32_t{bytes[at + 1]} << 8));
  };
  const std::uint16_t event = u16(4);
  if (event > static_cast<std::uint16_t>(ConsoleEvent::kPortName)) return std::nullopt;
  const std::uint32_t port = u16(0) | (std::uint32_t{u16(2)} << 16);
  return ConsoleControl{port, static_cast<ConsoleEvent>(event), u16(6)};
}

void emit_console_control(const ConsoleControl& message, FixedBytes<kConsoleControlSize> out) {
  const auto event = static_cast<std::uint16_t>(message.event);
  for (unsigned i = 0; i < 4; ++i) out[i] = static_cast<std::uint8_t>(message.port >> (8 * i));
  for (unsigned i = 0; i < 2; ++i) {
    out[4 + i] = static_cast<std::uint8_t>(event >> (8 * i));
    out[6 + i] = static_cast<std::uint8_t>(message.value >> (8 * i));
  }
}

}  // namespace sluice::virtio
