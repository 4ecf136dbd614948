#include "virtio/console/console.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "unit/virtio/mock_drivers.h"

namespace sluice::virtio::test {
namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::array<std::string_view, 3> kNames = {"control", "stream", "error"};

struct Told {
  ConsoleControl message;
  std::string name;
  friend bool operator==(const Told&, const Told&) = default;
};

class ConsoleTest : public testing::Test {
 protected:
  void SetUp() override {
    start(Console::kControlReceive, *to_driver_);
    start(Console::kControlTransmit, *from_driver_);
  }
  void start(std::size_t queue, MockDriver& driver) {
    ASSERT_TRUE(console_.start(queue, driver.memory(), driver.config()).has_value());
  }
  void say(const ConsoleControl& message) {
    std::array<std::uint8_t, kConsoleControlSize> bytes{};
    emit_console_control(message, bytes);
    say(Bytes(bytes.begin(), bytes.end()));
  }
  void say(const Bytes& bytes) {
    ASSERT_TRUE(from_driver_->offer({from_driver_->readable(bytes)}).has_value());
    from_driver_->show();
  }
  void give_buffers(std::size_t count, std::size_t size = 64) {
    for (std::size_t i = 0; i < count; ++i) {
      const MockBuffer buffer = to_driver_->writable(size);
      const auto id = to_driver_->offer({buffer});
      ASSERT_TRUE(id.has_value());
      buffers_[*id] = buffer;
    }
    to_driver_->show();
  }
  Console::Served serve() {
    const auto served = console_.serve_control();
    EXPECT_TRUE(served.has_value());
    while (from_driver_->take_used()) {
    }
    return served ? *served : Console::Served{};
  }
  std::vector<Told> told() {
    std::vector<Told> all;
    while (const auto used = to_driver_->take_used()) {
      const ByteView bytes = to_driver_->at(buffers_[used->id]).first(used->written);
      const auto message = parse_console_control(bytes);
      EXPECT_TRUE(message.has_value());
      if (!message) continue;
      const ByteView name = bytes.subspan(kConsoleControlSize);
      all.push_back({*message, std::string(name.begin(), name.end())});
    }
    return all;
  }

  std::unique_ptr<MockDriver> to_driver_ = make_mock_driver({.size = 32, .data_bytes = 65'536});
  std::unique_ptr<MockDriver> from_driver_ = make_mock_driver({.size = 32, .data_bytes = 65'536});
  std::array<MockBuffer, 32> buffers_{};
  Console console_{kNames};
};

TEST_F(ConsoleTest, QueuesAreNumberedAsTheSpecificationHasThem) {
  EXPECT_EQ(console_.queue_count(), 8U);
  EXPECT_EQ(Console::receive_queue(0), 0U);
  EXPECT_EQ(Console::transmit_queue(0), 1U);
  EXPECT_EQ(Console::receive_queue(1), 4U);
  EXPECT_EQ(Console::transmit_queue(2), 7U);
}

TEST_F(ConsoleTest, ConfigurationTellsThePorts) {
  std::array<std::uint8_t, 16> config{};
  config.fill(0xff);
  console_.read_config(0, config);
  EXPECT_EQ(config[4], 3);
  EXPECT_EQ(config[5] | config[0] | config[15], 0);
  console_.read_config(4, MutableBytes(config).first(1));
  EXPECT_EQ(config[0], 3);
  console_.read_config(1'000'000, config);
  EXPECT_EQ(config[4], 0);
}

TEST_F(ConsoleTest, AReadyDriverIsToldOfPortsTheirNamesAndWhoIsOpen) {
  console_.set_host_open(1, true);
  give_buffers(16);
  say({.event = ConsoleEvent::kDeviceReady, .value = 1});
  EXPECT_TRUE(serve().call);
  EXPECT_EQ(told(), (std::vector<Told>{{{0, ConsoleEvent::kPortAdd, 1}, ""},
                                       {{1, ConsoleEvent::kPortAdd, 1}, ""},
                                       {{2, ConsoleEvent::kPortAdd, 1}, ""}}));
  say({.port = 1, .event = ConsoleEvent::kPortReady, .value = 1});
  serve();
  EXPECT_EQ(told(), (std::vector<Told>{{{1, ConsoleEvent::kPortName, 1}, "stream"},
                                       {{1, ConsoleEvent::kPortOpen, 1}, ""}}));
  say({.port = 2, .event = ConsoleEvent::kPortReady, .value = 1});
  serve();
  EXPECT_EQ(told(), (std::vector<Told>{{{2, ConsoleEvent::kPortName, 1}, "error"}}));
  console_.set_host_open(1, false);
  console_.set_host_open(2, true);
  serve();
  EXPECT_EQ(told(), (std::vector<Told>{{{1, ConsoleEvent::kPortOpen, 0}, ""},
                                       {{2, ConsoleEvent::kPortOpen, 1}, ""}}));
}

TEST_F(ConsoleTest, WhatIsDueWaitsForABuffer) {
  say({.event = ConsoleEvent::kDeviceReady, .value = 1});
  EXPECT_FALSE(serve().more);
  give_buffers(1);
  EXPECT_TRUE(to_driver_->kick_wanted());
  serve();
  EXPECT_EQ(told().size(), 1U);
  give_buffers(4);
  serve();
  EXPECT_EQ(told().size(), 2U);
}

TEST_F(ConsoleTest, ThePortIsOpenWhileTheGuestSaysSo) {
  EXPECT_FALSE(console_.guest_open(1));
  say({.port = 1, .event = ConsoleEvent::kPortOpen, .value = 1});
  serve();
  EXPECT_TRUE(console_.guest_open(1));
  EXPECT_FALSE(console_.guest_open(0));
  say({.port = 1, .event = ConsoleEvent::kPortOpen, .value = 0});
  serve();
  EXPECT_FALSE(console_.guest_open(1));
}

TEST_F(ConsoleTest, AResetForgetsTheDriverAndKeepsOurEnd) {
  console_.set_host_open(0, true);
  say({.port = 0, .event = ConsoleEvent::kPortReady, .value = 1});
  say({.port = 0, .event = ConsoleEvent::kPortOpen, .value = 1});
  serve();
  console_.stop();
  EXPECT_FALSE(console_.guest_open(0));
  to_driver_ = make_mock_driver({.size = 32, .data_bytes = 65'536});
  from_driver_ = make_mock_driver({.size = 32, .data_bytes = 65'536});
  SetUp();
  give_buffers(8);
  serve();
  EXPECT_TRUE(told().empty());
  say({.port = 0, .event = ConsoleEvent::kPortReady, .value = 1});
  serve();
  EXPECT_EQ(told().back(), (Told{{0, ConsoleEvent::kPortOpen, 1}, ""}));
}

TEST_F(ConsoleTest, MessagesOfNonsenseDoNothing) {
  give_buffers(8);
  say({.port = 3, .event = ConsoleEvent::kPortOpen, .value = 1});
  say({.port = 0xffff'ffff, .event = ConsoleEvent::kPortReady, .value = 1});
  say({.event = ConsoleEvent::kDeviceReady, .value = 0});
  say({.event = ConsoleEvent::kPortReady, .value = 0});
  say({.event = ConsoleEvent::kPortName, .value = 1});
  say(Bytes{1, 2, 3});
  say(Bytes(5000, 0xff));
  serve();
  EXPECT_TRUE(told().empty());
  for (std::size_t port = 0; port < 3; ++port) EXPECT_FALSE(console_.guest_open(port));
}

// However often a driver asks, each port has three messages due at most.
TEST_F(ConsoleTest, ADriverThatAsksWithoutEndMakesNothingGrow) {
  console_.set_host_open(2, true);
  for (int i = 0; i < 1000; ++i) {
    say({.event = ConsoleEvent::kDeviceReady, .value = 1});
    say({.port = 2, .event = ConsoleEvent::kPortReady, .value = 1});
    serve();
  }
  give_buffers(32);
  serve();
  EXPECT_EQ(told().size(), 5U);
}

TEST_F(ConsoleTest, ABufferThatIsTooSmallIsTheDriversLoss) {
  give_buffers(4, 3);
  say({.event = ConsoleEvent::kDeviceReady, .value = 1});
  serve();
  std::size_t used = 0;
  while (const auto one = to_driver_->take_used()) {
    EXPECT_EQ(one->written, 3U);
    ++used;
  }
  EXPECT_EQ(used, 3U);
}

TEST_F(ConsoleTest, ABurstOfMessagesEndsAndAsksToBeServedAgain) {
  to_driver_ = make_mock_driver({.size = 32, .data_bytes = 65'536});
  from_driver_ = make_mock_driver({.size = 128, .data_bytes = 65'536});
  SetUp();
  for (int i = 0; i < 100; ++i) {
    say({.port = 1, .event = ConsoleEvent::kPortOpen, .value = 1});
  }
  say({.port = 1, .event = ConsoleEvent::kPortOpen, .value = 0});
  EXPECT_TRUE(serve().more);
  EXPECT_TRUE(console_.guest_open(1));
  EXPECT_FALSE(serve().more);
  EXPECT_FALSE(console_.guest_open(1));
}

TEST_F(ConsoleTest, StreamsOfPortsAreTheirOwn) {
  const auto second = make_mock_driver({.size = 8, .data_bytes = 4096});
  const auto third = make_mock_driver({.size = 8, .data_bytes = 4096});
  start(Console::transmit_queue(1), *second);
  start(Console::receive_queue(2), *third);
  second->offer({second->readable(Bytes{7})});
  second->show();
  third->offer({third->writable(5)});
  third->show();
  const auto waiting = console_.output(1).waiting();
  ASSERT_TRUE(waiting.has_value());
  ASSERT_EQ(waiting->size(), 1U);
  EXPECT_EQ(waiting->front().front(), 7);
  const auto room = console_.input(2).room();
  ASSERT_TRUE(room.has_value());
  ASSERT_EQ(room->size(), 1U);
  EXPECT_EQ(room->front().size(), 5U);
}

}  // namespace
}  // namespace sluice::virtio::test
