#include "box/device/stream_relay.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <string>

#include "unit/box/device/mock_console.h"

namespace sluice::box::test {
namespace {

class StreamRelayTest : public testing::Test, protected PortUser {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    from_.reset(ends[0]);
    to_.reset(ends[1]);
    guest_.device->set_user(*this);
    guest_.start();
    guest_.open(1);
  }
  void on_port(std::size_t port) override {
    if (port != 1) return;
    if (output_) output_->pump();
    if (input_) input_->pump();
  }
  void relay_output() {
    output_.emplace(RelayPlace{*guest_.thread, *guest_.device, 1},
                    StreamEnd::open(sys::real_kernel(), to_.get(), StreamWay::kOutput),
                    [this] { ++news_; });
  }
  void relay_input() {
    input_.emplace(RelayPlace{*guest_.thread, *guest_.device, 1},
                   StreamEnd::open(sys::real_kernel(), from_.get(), StreamWay::kInput),
                   [this] { ++news_; });
    input_->pump();
  }
  std::string read_pipe(std::size_t size) {
    std::string text(size, '\0');
    const ssize_t length = ::read(from_.get(), text.data(), size);
    text.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    return text;
  }
  void write_pipe(std::string_view text) {
    ASSERT_EQ(::write(to_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  UniqueFd from_;
  UniqueFd to_;
  int news_ = 0;
  MockConsole guest_;
  std::optional<OutputRelay> output_;
  std::optional<InputRelay> input_;
};

TEST_F(StreamRelayTest, WhatTheGuestWritesComesOut) {
  relay_output();
  guest_.write(1, "hello ");
  guest_.write(1, "world");
  EXPECT_EQ(read_pipe(100), "hello world");
  EXPECT_EQ(output_->delivered(), 11U);
  EXPECT_EQ(guest_.used(1), 2U);
  EXPECT_GE(news_, 1);
}

TEST_F(StreamRelayTest, WhatIsNotTakenStaysInTheGuest) {
  relay_output();
  const std::string text(30'000, 'x');
  std::size_t sent = 0;
  while (guest_.write(1, text)) ++sent;
  // A pipe of 64 KiB took two of them and a part of the third.
  EXPECT_EQ(guest_.used(1), 2U);
  std::size_t got = 0;
  while (got < sent * text.size()) {
    const std::string some = read_pipe(10'000);
    ASSERT_FALSE(some.empty());
    got += some.size();
    run(*guest_.thread);
  }
  EXPECT_EQ(got, sent * text.size());
  EXPECT_EQ(output_->delivered(), got);
  EXPECT_EQ(guest_.used(1), sent - 2);
}

TEST_F(StreamRelayTest, AnOutputThatNobodyReadsIsClosedAndTakesAll) {
  relay_output();
  from_.reset();
  run(*guest_.thread);
  EXPECT_TRUE(output_->closed());
  EXPECT_FALSE(output_->error().has_value());
  const int news = news_;
  EXPECT_GE(news, 1);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(guest_.write(1, std::string(30'000, 'x')));
    EXPECT_EQ(guest_.used(1), 1U);
  }
  EXPECT_EQ(output_->delivered(), 3'000'000U);
}

TEST_F(StreamRelayTest, AFullDeviceIsAnErrorWithItsName) {
  to_.reset(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  relay_output();
  guest_.write(1, "hello");
  EXPECT_TRUE(output_->closed());
  ASSERT_TRUE(output_->error().has_value());
  EXPECT_EQ(output_->error()->error, ENOSPC);
  EXPECT_EQ(guest_.used(1), 1U);
}

TEST_F(StreamRelayTest, InputGoesIntoTheRoomThatTheGuestHas) {
  relay_input();
  write_pipe("hello world");
  run(*guest_.thread);
  EXPECT_EQ(guest_.read(1), "");
  guest_.give_room(1, 6);
  EXPECT_EQ(guest_.read(1), "hello ");
  guest_.give_room(1, 100);
  EXPECT_EQ(guest_.read(1), "world");
  guest_.give_room(1, 100);
  write_pipe("!");
  run(*guest_.thread);
  EXPECT_EQ(guest_.read(1), "!");
  EXPECT_EQ(input_->delivered(), 12U);
  EXPECT_FALSE(input_->ended());
}

TEST_F(StreamRelayTest, TheEndOfTheInputComesBehindItsBytes) {
  relay_input();
  write_pipe("last");
  to_.reset();
  run(*guest_.thread);
  EXPECT_FALSE(input_->ended());
  guest_.give_room(1, 4);
  EXPECT_EQ(guest_.read(1), "last");
  guest_.give_room(1, 4);
  EXPECT_TRUE(input_->ended());
  EXPECT_EQ(input_->delivered(), 4U);
  EXPECT_EQ(news_, 1);
}

// What is at its end and cannot be given on must not keep the thread busy.
TEST_F(StreamRelayTest, AnEndedInputWithoutRoomIsNotWaitedFor) {
  relay_input();
  guest_.give_room(1, 4);
  to_.reset();
  guest_.open(1, false);
  run(*guest_.thread);
  guest_.open(1);
  guest_.give_room(1, 4);
  EXPECT_TRUE(input_->ended());
}

TEST_F(StreamRelayTest, AClosedPortGetsNothing) {
  guest_.open(1, false);
  relay_input();
  guest_.give_room(1, 10);
  write_pipe("hello");
  run(*guest_.thread);
  EXPECT_EQ(guest_.read(1), "");
  guest_.open(1);
  EXPECT_EQ(guest_.read(1), "hello");
}

TEST_F(StreamRelayTest, AFileIsReadToItsEnd) {
  std::string name = testing::TempDir() + "/stream-relay-XXXXXX";
  from_.reset(::mkstemp(name.data()));
  ::unlink(name.c_str());
  const std::string text(100'000, 'y');
  ASSERT_EQ(::write(from_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::lseek(from_.get(), 0, SEEK_SET);
  relay_input();
  std::size_t got = 0;
  for (int i = 0; i < 50 && !input_->ended(); ++i) {
    guest_.give_room(1, 4096);
    got += guest_.read(1).size();
  }
  EXPECT_EQ(got, text.size());
  EXPECT_TRUE(input_->ended());
}

}  // namespace
}  // namespace sluice::box::test
