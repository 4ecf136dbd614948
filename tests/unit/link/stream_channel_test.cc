// StreamChannel over a kernel that answers as scripted.
#include "link/stream_channel.h"

#include <gtest/gtest.h>

#include "unit/link/frames_of_a_test.h"
#include "unit/sys/fake_kernel.h"

namespace sluice::link {
namespace {

using Why = ChannelEnd::Why;
using Texts = std::vector<std::string>;

class StreamChannelTest : public ::testing::Test {
 protected:
  StreamChannelTest() { channel.attach(7); }
  [[nodiscard]] FrameChannel::Read read() {
    frames.clear();
    return channel.read(frames);
  }
  // What has been sent so far, by calls that took all that they were given.
  [[nodiscard]] std::string sent() const {
    std::string all;
    for (const std::string& message : kernel.sent) all += message;
    return all;
  }
  [[nodiscard]] std::size_t write(const Texts& texts) {
    wire::FrameBatch batch;
    for (const std::string& text : texts) add_frame(batch, text);
    return channel.write(batch);
  }

  sys::FakeKernel kernel;
  StreamChannel channel{kernel};
  std::vector<wire::FrameIn> frames;
  const std::string a = std::string(14, 'a');
  const std::string b = std::string(1500, 'b');
  const std::string c = std::string(kFrameMax, 'c');
};

TEST_F(StreamChannelTest, ABurstIsOneCallAndItsFramesAreVouchedFor) {
  kernel.script_data(prefixed(a) + prefixed(b) + prefixed(c));
  const FrameChannel::Read result = read();
  EXPECT_EQ(texts_of(frames), (Texts{a, b, c}));
  EXPECT_TRUE(result.drained);
  EXPECT_FALSE(result.end.has_value());
  EXPECT_EQ(kernel.count("recvmsg"), 1U);
  for (const wire::FrameIn& frame : frames) {
    EXPECT_EQ(frame.offload.flags, wire::VirtioNetHeader::kDataValid);
  }
}

TEST_F(StreamChannelTest, FramesMayComeInAnyPieces) {
  const std::string stream = prefixed(a) + prefixed(b) + prefixed(a) + prefixed(b);
  for (const std::size_t size : {1U, 2U, 3U, 5U, 17U, 18U, 19U, 1000U, 1522U}) {
    Texts got;
    for (std::size_t at = 0; at < stream.size(); at += size) {
      kernel.script_data(stream.substr(at, size));
      EXPECT_FALSE(read().end.has_value());
      for (const std::string& text : texts_of(frames)) got.push_back(text);
    }
    EXPECT_EQ(got, (Texts{a, b, a, b})) << size;
  }
}

TEST_F(StreamChannelTest, WhatFillsTheBufferIsNotTheEndOfIt) {
  std::string stream;
  while (stream.size() < 4'000'000) stream += prefixed(c);
  kernel.script_data(stream);
  EXPECT_FALSE(read().drained);
  EXPECT_GT(frames.size(), 40U);
  const std::size_t taken = frames.size();
  // The rest of the last one comes with the next burst.
  kernel.script_data(stream.substr(3 * 1024 * 1024 + kFrameMax, 2 * prefixed(c).size()));
  EXPECT_TRUE(read().drained);
  EXPECT_EQ(texts_of(frames).front(), c) << taken;
}

TEST_F(StreamChannelTest, ALengthOutOfRangeEndsIt) {
  for (const std::uint32_t length : {0U, 13U, static_cast<std::uint32_t>(kFrameMax) + 1, ~0U}) {
    channel.attach(7);
    std::string bad(4, '\0');
    for (unsigned i = 0; i < 4; ++i) bad[i] = static_cast<char>(length >> (24 - 8 * i));
    kernel.script_data(prefixed(a) + bad + prefixed(b));
    const FrameChannel::Read result = read();
    EXPECT_EQ(texts_of(frames), Texts{a});
    ASSERT_TRUE(result.end.has_value());
    EXPECT_EQ(result.end->why, Why::kBadLength);
    EXPECT_EQ(result.end->length, length);
  }
}

TEST_F(StreamChannelTest, EndsAreTold) {
  EXPECT_FALSE(read().end.has_value());  // It would block.
  kernel.script("recvmsg", 0);
  EXPECT_EQ(read().end.value().why, Why::kClosed);
  kernel.script("recvmsg", -1, ECONNRESET);
  const ChannelEnd end = read().end.value();
  EXPECT_EQ(end.why, Why::kError);
  EXPECT_EQ(end.error, ECONNRESET);
}

TEST_F(StreamChannelTest, ABatchIsOneCall) {
  wire::FrameBatch batch;
  const std::string payload(1448, 'p');
  for (int i = 0; i < 100; ++i) add_frame(batch, std::string(54, 'h'), payload);
  EXPECT_EQ(channel.write(batch), 0U);
  EXPECT_EQ(kernel.count("sendmsg"), 1U);
  std::string wanted;
  for (int i = 0; i < 100; ++i) wanted += prefixed(std::string(54, 'h') + payload);
  EXPECT_EQ(sent(), wanted);
}

TEST_F(StreamChannelTest, AVeryLargeBatchIsAFewCalls) {
  const std::string large(9000, 'l');
  Texts texts(2000, a);
  texts.insert(texts.begin() + 1000, 600, large);
  EXPECT_EQ(write(texts), 0U);
  EXPECT_LE(kernel.count("sendmsg"), 4U);
  std::string wanted;
  for (const std::string& text : texts) wanted += prefixed(text);
  EXPECT_EQ(sent(), wanted);
}

TEST_F(StreamChannelTest, WhatTheSocketTookInPartIsFinishedBeforeTheNext) {
  const std::string whole = prefixed(a) + prefixed(b) + prefixed(a);
  for (std::size_t taken = 0; taken < whole.size(); taken += taken < 40 ? 1 : 97) {
    channel.attach(7);
    kernel.script("sendmsg", static_cast<long>(taken));
    EXPECT_EQ(write({a, b, a}), 0U);
    EXPECT_EQ(channel.waiting(), whole.size() - taken);
    // The socket takes nothing yet; what is written now stands behind.
    kernel.script("send", -1, EAGAIN);
    EXPECT_EQ(write({a}), 0U);
    EXPECT_EQ(channel.waiting(), whole.size() - taken + prefixed(a).size());
    const std::size_t calls = kernel.count("send");
    kernel.script("send", 3);
    channel.flush();
    EXPECT_EQ(channel.waiting(), 0U);
    EXPECT_EQ(kernel.count("send"), calls + 2);
    EXPECT_EQ(kernel.last("send")->first,
              static_cast<long>(whole.size() - taken + prefixed(a).size() - 3));
  }
}

TEST_F(StreamChannelTest, WhatWaitsIsBoundedAndTheRestIsLost) {
  kernel.script("sendmsg", -1, EAGAIN);
  const Texts many(2000, b);
  const std::size_t lost = write(many);
  EXPECT_EQ(lost, 2000 - FrameChannel::kQueueMax / prefixed(b).size());
  EXPECT_LE(channel.waiting(), FrameChannel::kQueueMax);
  kernel.script("send", -1, EAGAIN);
  EXPECT_EQ(write({c}), 1U);
}

TEST_F(StreamChannelTest, OfAConnectionThatBrokeNothingIsKept) {
  kernel.script("sendmsg", -1, EPIPE);
  EXPECT_EQ(write({a, b}), 2U);
  EXPECT_EQ(channel.waiting(), 0U);
  kernel.script("sendmsg", 5);
  EXPECT_EQ(write({a, b}), 0U);
  kernel.script("send", -1, ECONNRESET);
  channel.flush();
  EXPECT_EQ(channel.waiting(), 0U);
}

TEST_F(StreamChannelTest, AnotherSocketGetsNothingOfTheOneBefore) {
  kernel.script("sendmsg", 5);
  EXPECT_EQ(write({a}), 0U);
  kernel.script_data(prefixed(b).substr(0, 700));
  (void)read();
  channel.attach(8);
  EXPECT_EQ(channel.waiting(), 0U);
  kernel.script_data(prefixed(a));
  (void)read();
  EXPECT_EQ(texts_of(frames), Texts{a});
  EXPECT_EQ(kernel.last("recvmsg")->fd, 8);
}

}  // namespace
}  // namespace sluice::link
