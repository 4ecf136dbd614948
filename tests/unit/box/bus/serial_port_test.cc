#include "box/bus/serial_port.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::box {
namespace {

void send(SerialPort& port, std::string_view text) {
  for (const char c : text) port.write(SerialPort::kFirst, static_cast<std::uint8_t>(c));
}

TEST(SerialPort, GivesLinesAndKeepsThem) {
  std::vector<std::string> lines;
  SerialPort port([&lines](std::string_view line) { lines.emplace_back(line); });
  send(port, "one\r\ntwo\r\nthr");
  EXPECT_EQ(lines, (std::vector<std::string>{"one\n", "two\n"}));
  EXPECT_EQ(port.tail(), "one\ntwo\nthr");
}

TEST(SerialPort, RemembersThatItsKernelPanicked) {
  SerialPort port({});
  send(port, "Kernel panic\n - not syncing: no line of it\nKernel panic - not syn");
  EXPECT_FALSE(port.panicked());
  send(port, "cing: why\n");
  EXPECT_TRUE(port.panicked());
  send(port, std::string(3 * SerialPort::kTailMax, 'x') + "\n");
  EXPECT_TRUE(port.panicked()) << "however much follows";
}

TEST(SerialPort, WhatItKeepsIsBounded) {
  std::size_t longest = 0;
  SerialPort port([&longest](std::string_view line) { longest = std::max(longest, line.size()); });
  send(port, std::string(100'000, 'x') + "end");
  EXPECT_EQ(port.tail().size(), SerialPort::kTailMax);
  EXPECT_TRUE(port.tail().ends_with("xend"));
  EXPECT_EQ(longest, SerialPort::kTailMax);
}

TEST(SerialPort, IsAlwaysReadyToTransmitAndNeverHasReceived) {
  SerialPort port({});
  EXPECT_EQ(port.read(0x3fd), 0x60);
  EXPECT_EQ(port.read(0x3f8), 0);
  EXPECT_EQ(port.read(0x3fa), 1);
}

// So that a driver believes in it.
TEST(SerialPort, ItsRegistersKeepWhatIsWritten) {
  SerialPort port({});
  port.write(0x3ff, 0xa5);
  EXPECT_EQ(port.read(0x3ff), 0xa5);
  port.write(0x3f9, 0xff);
  EXPECT_EQ(port.read(0x3f9), 0x0f);
  port.write(0x3fb, 0x13);
  EXPECT_EQ(port.read(0x3fb), 0x13);
}

TEST(SerialPort, ADivisorIsNoMessage) {
  SerialPort port({});
  port.write(0x3fb, 0x80);
  send(port, "\x01");
  port.write(0x3fb, 0x03);
  send(port, "x");
  EXPECT_EQ(port.tail(), "x");
}

}  // namespace
}  // namespace sluice::box
