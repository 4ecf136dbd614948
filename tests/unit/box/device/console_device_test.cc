#include "box/device/console_device.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/box/device/mock_console.h"

namespace sluice::box::test {
namespace {

struct Noted final : PortUser {
  void on_port(std::size_t port) override { ports.push_back(port); }
  [[nodiscard]] bool has(std::size_t port) const { return std::ranges::count(ports, port) > 0; }
  std::vector<std::size_t> ports;
};

class ConsoleDeviceTest : public testing::Test {
 protected:
  void SetUp() override { guest_.device->set_user(user_); }
  std::string waiting(std::size_t port) {
    std::string text;
    for (const ByteView piece : guest_.device->waiting(port)) {
      text.append(piece.begin(), piece.end());
    }
    return text;
  }

  Noted user_;
  MockConsole guest_;
};

TEST_F(ConsoleDeviceTest, WantsMultiport) {
  EXPECT_TRUE(guest_.device->check(guest_.device->offered()).has_value());
  EXPECT_FALSE(guest_.device->check({virtio::Feature::kVersion1}).has_value());
  EXPECT_FALSE(guest_.device->check({virtio::Console::kMultiport}).has_value());
  EXPECT_EQ(guest_.device->id(), 3U);
}

TEST_F(ConsoleDeviceTest, TheUserHearsOfOpenPortsBytesAndRoom) {
  guest_.start();
  user_.ports.clear();
  guest_.open(1);
  EXPECT_EQ(user_.ports, std::vector<std::size_t>{1});
  EXPECT_TRUE(guest_.device->is_open(1));
  user_.ports.clear();
  guest_.write(2, "err");
  EXPECT_EQ(user_.ports, std::vector<std::size_t>{2});
  EXPECT_EQ(waiting(2), "err");
  const int before = guest_.interrupt.used_count;
  guest_.device->take(2, 3);
  EXPECT_EQ(guest_.used(2), 1U);
  EXPECT_GT(guest_.interrupt.used_count, before);
  user_.ports.clear();
  guest_.give_room(1, 10);
  EXPECT_TRUE(user_.has(1));
}

TEST_F(ConsoleDeviceTest, AClosedPortHasNoRoomAndWhatWasWrittenIsStillThere) {
  guest_.start();
  guest_.give_room(1, 10);
  EXPECT_TRUE(guest_.device->room(1).empty());
  guest_.open(1);
  ASSERT_EQ(guest_.device->room(1).size(), 1U);
  guest_.device->fill(1, 0);
  guest_.write(1, "last words");
  guest_.open(1, false);
  EXPECT_TRUE(guest_.device->room(1).empty());
  EXPECT_EQ(waiting(1), "last words");
}

TEST_F(ConsoleDeviceTest, NothingIsLeftAfterAReset) {
  guest_.start();
  guest_.open(1);
  guest_.write(1, "stale");
  kick(*guest_.device, virtio::Console::transmit_queue(1));
  user_.ports.clear();
  guest_.device->reset();
  EXPECT_FALSE(guest_.device->is_open(1));
  EXPECT_TRUE(guest_.device->waiting(1).empty());
  EXPECT_TRUE(user_.has(1));
  user_.ports.clear();
  run(*guest_.thread);
  EXPECT_TRUE(user_.ports.empty());
  EXPECT_EQ(guest_.used(1), 0U);
}

TEST_F(ConsoleDeviceTest, WhatWasThereBeforeTheStartIsSeen) {
  auto& queue = guest_.queues[virtio::Console::transmit_queue(1)];
  const std::array<std::uint8_t, 1> byte{'x'};
  queue.offer({queue.readable(byte)});
  queue.show();
  ASSERT_TRUE(guest_.device->start(guest_.device->offered(), guest_.queues.setups()));
  run(*guest_.thread);
  EXPECT_TRUE(user_.has(1));
}

TEST_F(ConsoleDeviceTest, AQueueOutsideOfTheMemoryDoesNotStart) {
  auto setups = guest_.queues.setups();
  setups[5].driver = 0xffff'ffff'ffff'fff0;
  EXPECT_FALSE(guest_.device->start(guest_.device->offered(), setups));
  setups = guest_.queues.setups();
  setups[5].ready = false;
  EXPECT_TRUE(guest_.device->start(guest_.device->offered(), setups));
}

TEST_F(ConsoleDeviceTest, AGuestThatBreaksAQueueIsToldOnce) {
  guest_.start();
  auto& queue = guest_.queues[virtio::Console::transmit_queue(1)];
  queue.offer({{.address = 3, .length = 8}});
  queue.show();
  EXPECT_TRUE(guest_.device->waiting(1).empty());
  EXPECT_TRUE(guest_.device->waiting(1).empty());
  EXPECT_EQ(guest_.interrupt.reset_count, 1);
  ASSERT_EQ(guest_.told.size(), 1U);
  EXPECT_NE(guest_.told[0].find("console"), std::string::npos);
}

TEST_F(ConsoleDeviceTest, OurEndIsTold) {
  guest_.start();
  auto& queue = guest_.queues[virtio::Console::kControlReceive];
  std::size_t before = 0;
  while (queue.take_used()) ++before;
  EXPECT_EQ(before, 6U);  // Three ports, three names.
  guest_.device->set_host_open(1, true);
  run(*guest_.thread);
  EXPECT_TRUE(queue.take_used().has_value());
}

}  // namespace
}  // namespace sluice::box::test
