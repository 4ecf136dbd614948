#include "virtio/console/console_control.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace sluice::virtio {
namespace {

TEST(ConsoleControl, IsLittleEndianAsTheSpecificationHasIt) {
  std::array<std::uint8_t, kConsoleControlSize> bytes{};
  emit_console_control({.port = 0x01020304, .event = ConsoleEvent::kPortOpen, .value = 0x0506},
                       bytes);
  EXPECT_EQ(bytes, (std::array<std::uint8_t, 8>{4, 3, 2, 1, 6, 0, 6, 5}));
}

TEST(ConsoleControl, ComesBackAsItWas) {
  for (std::uint16_t event = 0; event <= 7; ++event) {
    const ConsoleControl message{.port = 0xfedcba98U + event,
                                 .event = static_cast<ConsoleEvent>(event),
                                 .value = static_cast<std::uint16_t>(0xff00U + event)};
    std::array<std::uint8_t, kConsoleControlSize> bytes{};
    emit_console_control(message, bytes);
    EXPECT_EQ(parse_console_control(bytes), message);
  }
}

TEST(ConsoleControl, WhatIsCutOrUnknownIsNothing) {
  const std::vector<std::uint8_t> whole(kConsoleControlSize);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_console_control(ByteView(whole).first(size)).has_value()) << size;
  }
  EXPECT_TRUE(parse_console_control(whole).has_value());
  const std::array<std::uint8_t, 8> unknown{0, 0, 0, 0, 8, 0, 0, 0};
  EXPECT_FALSE(parse_console_control(unknown).has_value());
  const std::array<std::uint8_t, 8> high{0, 0, 0, 0, 0, 1, 0, 0};
  EXPECT_FALSE(parse_console_control(high).has_value());
}

}  // namespace
}  // namespace sluice::virtio
