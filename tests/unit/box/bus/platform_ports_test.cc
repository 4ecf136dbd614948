#include "box/bus/platform_ports.h"

#include <gtest/gtest.h>

#include <array>
#include <string_view>

namespace sluice::box {
namespace {

class Ports : public ::testing::Test {
 protected:
  std::optional<MachineEnd> write(std::uint16_t port, std::uint8_t value) {
    return ports_.write(port, std::array{value});
  }
  std::uint8_t read(std::uint16_t port) {
    std::array<std::uint8_t, 1> byte{};
    ports_.read(port, byte);
    return byte[0];
  }

  SerialPort serial_{{}};
  PlatformPorts ports_{serial_};
};

TEST_F(Ports, TheSleepRegisterPowersOff) {
  const auto end = write(0x600, 5 << 2 | 0x20);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->kind, EndKind::kPoweredOff);
}

TEST_F(Ports, OtherSleepsAreNone) {
  EXPECT_FALSE(write(0x600, 5 << 2));         // Not enabled.
  EXPECT_FALSE(write(0x600, 3 << 2 | 0x20));  // To memory.
  EXPECT_FALSE(write(0x601, 0xff));
}

TEST_F(Ports, TheResetRegisterAndTheKeyboardsControllerReset) {
  for (const auto& [port, value] : {std::pair{0x602, 0x42}, std::pair{0x64, 0xfe}}) {
    const auto end = write(static_cast<std::uint16_t>(port), static_cast<std::uint8_t>(value));
    ASSERT_TRUE(end);
    EXPECT_EQ(end->kind, EndKind::kReset);
  }
  EXPECT_FALSE(write(0x602, 0));
  EXPECT_FALSE(write(0x64, 0xd1));
}

TEST_F(Ports, AResetBehindAPanicIsThatPanic) {
  const std::string_view said = "[    1.0] Kernel panic - not syncing: why\r\nCPU: 0\r\n";
  for (const char byte : said) EXPECT_FALSE(write(0x3f8, static_cast<std::uint8_t>(byte)));
  const auto end = write(0x602, 0x42);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->kind, EndKind::kPanicked);
}

TEST_F(Ports, TheSerialPortIsThere) {
  EXPECT_FALSE(write(0x3f8, 'x'));
  EXPECT_EQ(serial_.tail(), "x");
  EXPECT_EQ(read(0x3fd), 0x60);
}

// A clock that updates for ever, or a keyboard that is always busy, would hold up a kernel.
TEST_F(Ports, WhatIsNotThereHoldsUpNobody) {
  EXPECT_EQ(read(0x71), 0);
  EXPECT_EQ(read(0x64), 0);
  EXPECT_EQ(read(0x61), 0);
  EXPECT_EQ(read(0xcfc), 0xff);
}

}  // namespace
}  // namespace sluice::box
