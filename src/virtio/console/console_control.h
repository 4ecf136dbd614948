// The messages of a multiport console's control queues (virtio 1.2, 5.3.6.2), either way:
//
//   0      4       6       8
//   | port | event | value | name, of PORT_NAME only |     little-endian
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace sluice::virtio {

enum class ConsoleEvent : std::uint16_t {
  kDeviceReady = 0,  // From the driver: 1 where it made itself ready.
  kPortAdd = 1,      // To the driver.
  kPortRemove = 2,
  kPortReady = 3,    // From the driver: 1 where it has made the port that was added.
  kConsolePort = 4,  // To the driver: the port is a console.
  kResize = 5,
  kPortOpen = 6,  // Either way: 1 opened, 0 closed.
  kPortName = 7,
};

struct ConsoleControl {
  std::uint32_t port = 0;
  ConsoleEvent event{};
  std::uint16_t value = 0;
  friend bool operator==(const ConsoleControl&, const ConsoleControl&) = default;
};
inline constexpr std::size_t kConsoleControlSize = 8;

// Nothing where it is too short, or of an event that has no number. What follows it is not read.
[[nodiscard]] std::optional<ConsoleControl> parse_console_control(ByteView bytes);
void emit_console_control(const ConsoleControl& message, FixedBytes<kConsoleControlSize> out);

}  // namespace sluice::virtio
