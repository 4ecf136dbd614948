#include "box/init/relay.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

#include "base/unique_fd.h"

namespace sluice::box {
namespace {

class RelayTest : public testing::Test {
 protected:
  RelayTest() {
    ::signal(SIGPIPE, SIG_IGN);
    open(source_write_, source_read_);
    open(sink_write_, sink_read_);
    relay_ = std::make_unique<Relay>(source_read_.get(), sink_write_.get());
  }
  static void open(UniqueFd& writing, UniqueFd& reading) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC), 0);
    reading.reset(ends[0]);
    writing.reset(ends[1]);
  }
  std::size_t put(const std::string& text) {
    const ssize_t sent = ::write(source_write_.get(), text.data(), text.size());
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }
  std::string get() {
    std::string text(1 << 20, '\0');
    const ssize_t got = ::read(sink_read_.get(), text.data(), text.size());
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
  }

  UniqueFd source_write_, source_read_, sink_write_, sink_read_;
  std::unique_ptr<Relay> relay_;
};

TEST_F(RelayTest, MovesWhatThereIsAndEndsBehindIt) {
  put("hello");
  relay_->turn();
  EXPECT_EQ(get(), "hello");
  EXPECT_TRUE(relay_->wants_source() && !relay_->wants_sink() && !relay_->done());
  put("more");
  source_write_.reset();
  relay_->turn();
  EXPECT_EQ(get(), "more");
  EXPECT_TRUE(relay_->done() && !relay_->wants_source());
  EXPECT_EQ(relay_->moved(), 9U);
}

TEST_F(RelayTest, ASinkThatTakesNothingHoldsTheSourceUp) {
  const std::string block(Relay::kBuffer, 'x');
  std::size_t in = 0;
  for (int i = 0; i < 20; ++i) {
    in += put(block);
    relay_->turn();
  }
  EXPECT_TRUE(relay_->wants_sink() && !relay_->wants_source());
  EXPECT_EQ(put(block), 0U) << "its writer is held up";
  source_write_.reset();
  std::size_t out = 0;
  for (int i = 0; i < 40 && !relay_->done(); ++i) {
    out += get().size();
    relay_->turn();
  }
  EXPECT_TRUE(relay_->done());
  EXPECT_EQ(out + get().size(), in);
  EXPECT_EQ(relay_->moved(), in);
}

TEST_F(RelayTest, AnEndThatIsToldIsKept) {
  relay_->end_source_at(3);
  put("12");
  relay_->turn();
  EXPECT_FALSE(relay_->done()) << "the end overtook what is before it";
  put("345");
  relay_->turn();
  EXPECT_TRUE(relay_->done());
  EXPECT_EQ(get(), "123");
}

TEST_F(RelayTest, AnEndOfNothingIsOneAtOnce) {
  relay_->end_source_at(0);
  EXPECT_TRUE(relay_->done());
}

TEST_F(RelayTest, WhatNobodyTakesIsThrownAway) {
  sink_read_.reset();
  put("unheard");
  relay_->turn();
  EXPECT_TRUE(relay_->sink_is_gone());
  EXPECT_EQ(relay_->moved(), 7U);
  put("more");
  relay_->turn();
  EXPECT_EQ(relay_->moved(), 11U);
}

TEST_F(RelayTest, AWriterThatLivesOnCanBeLeft) {
  put("last");
  relay_->end_source_when_empty();
  relay_->turn();
  EXPECT_TRUE(relay_->done());
  EXPECT_EQ(get(), "last");
}

}  // namespace
}  // namespace sluice::box
