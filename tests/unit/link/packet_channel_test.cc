// PacketChannel over a kernel that answers as scripted. socket_link_test.cc has real sockets.
#include "link/packet_channel.h"

#include <gtest/gtest.h>

#include "unit/link/frames_of_a_test.h"
#include "unit/sys/fake_kernel.h"

namespace sluice::link {
namespace {

using Peer = PacketChannel::Peer;
using Why = ChannelEnd::Why;
using Texts = std::vector<std::string>;

[[nodiscard]] wire::Endpoint peer(std::uint16_t port) {
  return {wire::IpAddress::v4(0x7f00'0001), wire::Port{port}};
}

class PacketChannelTest : public ::testing::Test {
 protected:
  void start(Peer kind) {
    channel.emplace(kernel, kind);
    channel->attach(7);
  }
  [[nodiscard]] FrameChannel::Read read() {
    frames.clear();
    return channel->read(frames);
  }
  [[nodiscard]] std::size_t write(const Texts& texts) {
    wire::FrameBatch batch;
    for (const std::string& text : texts) add_frame(batch, text);
    return channel->write(batch);
  }

  sys::FakeKernel kernel;
  std::optional<PacketChannel> channel;
  std::vector<wire::FrameIn> frames;
  const std::string a = std::string(14, 'a');
  const std::string b = std::string(1500, 'b');
};

TEST_F(PacketChannelTest, ABurstIsOneCallAndItsFramesAreVouchedFor) {
  start(Peer::kConnection);
  kernel.script_datagram(peer(1), a);
  kernel.script_datagram(peer(1), b);
  kernel.script_datagram(peer(1), std::string(kFrameMax, 'c'));
  EXPECT_TRUE(read().drained);
  EXPECT_EQ(texts_of(frames), (Texts{a, b, std::string(kFrameMax, 'c')}));
  EXPECT_EQ(kernel.count("recvmmsg"), 1U);
  for (const wire::FrameIn& frame : frames) {
    EXPECT_EQ(frame.offload.flags, wire::VirtioNetHeader::kDataValid);
  }
}

TEST_F(PacketChannelTest, ABurstEndsWhereOthersHaveTheirTurn) {
  start(Peer::kConnected);
  for (int i = 0; i < 100; ++i) kernel.script_datagram(peer(1), a);
  EXPECT_FALSE(read().drained);
  EXPECT_EQ(frames.size(), 64U);
}

TEST_F(PacketChannelTest, WhatIsNoFrameIsPassedOver) {
  start(Peer::kConnected);
  kernel.script_datagram(peer(1), "VFKT");
  kernel.script_datagram(peer(1), "");
  kernel.script_datagram(peer(1), a);
  EXPECT_FALSE(read().end.has_value());
  EXPECT_EQ(texts_of(frames), Texts{a});
}

TEST_F(PacketChannelTest, OfAConnectionAnEmptyPacketIsTheEnd) {
  start(Peer::kConnection);
  kernel.script_datagram(peer(1), a);
  kernel.script_datagram(peer(1), "");
  kernel.script_datagram(peer(1), "");
  EXPECT_EQ(read().end.value().why, Why::kClosed);
  EXPECT_EQ(texts_of(frames), Texts{a});
  kernel.script("recvmmsg", -1, ECONNRESET);
  EXPECT_EQ(read().end.value().error, ECONNRESET);
}

TEST_F(PacketChannelTest, AnswersGoToWhoeverSentLast) {
  start(Peer::kWhoeverSends);
  EXPECT_EQ(write({a}), 1U);  // Nobody is known.
  EXPECT_EQ(kernel.count("sendmmsg"), 0U);
  kernel.script_datagram(peer(1), "VFKT");
  EXPECT_TRUE(read().met.has_value());
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(write({a, b}), 0U);
  EXPECT_EQ(kernel.sent, (Texts{a, b}));
  kernel.script_datagram(peer(1), a);
  EXPECT_FALSE(read().met.has_value());
  // What waits was for the one before.
  kernel.script("sendmmsg", -1, EAGAIN);
  EXPECT_EQ(write({a}), 0U);
  EXPECT_GT(channel->waiting(), 0U);
  kernel.script_datagram(peer(2), a);
  EXPECT_TRUE(read().met.has_value());
  EXPECT_EQ(channel->waiting(), 0U);
}

TEST_F(PacketChannelTest, APeerThatIsGoneIsForgotten) {
  start(Peer::kWhoeverSends);
  kernel.script_datagram(peer(1), a);
  (void)read();
  kernel.script("sendmmsg", -1, ECONNREFUSED);
  EXPECT_EQ(write({a, b}), 2U);
  EXPECT_EQ(write({a}), 1U);
  EXPECT_EQ(kernel.count("sendmmsg"), 1U);
  const FrameChannel::Read after = read();
  EXPECT_FALSE(after.end.has_value());  // Another may come.
  EXPECT_EQ(after.refused, ECONNREFUSED);
  EXPECT_EQ(read().refused, 0);
  kernel.script_datagram(peer(1), a);
  EXPECT_TRUE(read().met.has_value());
}

TEST_F(PacketChannelTest, OfAPairTheOtherEndIsSeenToBeGoneByWriting) {
  start(Peer::kConnected);
  EXPECT_FALSE(read().end.has_value());
  kernel.script("sendmmsg", -1, ECONNREFUSED);
  EXPECT_EQ(write({a}), 1U);
  EXPECT_TRUE(read().end.has_value());
}

TEST_F(PacketChannelTest, ALargeBatchIsSentInOrder) {
  start(Peer::kConnection);
  Texts texts;
  for (int i = 0; i < 200; ++i) texts.push_back(a + std::to_string(i));
  EXPECT_EQ(write(texts), 0U);
  EXPECT_EQ(kernel.sent, texts);
  EXPECT_EQ(kernel.count("sendmmsg"), 4U);
}

TEST_F(PacketChannelTest, WhatTheSocketDoesNotTakeWaitsInOrder) {
  start(Peer::kConnection);
  kernel.script("sendmmsg", 1);
  kernel.script("sendmmsg", -1, EAGAIN);
  EXPECT_EQ(write({a, b, a}), 0U);
  EXPECT_EQ(channel->waiting(), 4 + b.size() + 4 + a.size());
  kernel.sent.clear();
  kernel.script("sendmmsg", 1);
  kernel.script("sendmmsg", -1, EAGAIN);
  EXPECT_EQ(write({b}), 0U);
  EXPECT_EQ(channel->waiting(), 4 + a.size() + 4 + b.size());
  kernel.sent.clear();
  channel->flush();
  EXPECT_EQ(kernel.sent, (Texts{a, b}));
  EXPECT_EQ(channel->waiting(), 0U);
}

TEST_F(PacketChannelTest, AFrameThatIsTooLargeForItHoldsUpNoOther) {
  start(Peer::kConnection);
  kernel.script("sendmmsg", -1, EMSGSIZE);
  EXPECT_EQ(write({b, a}), 1U);
  EXPECT_EQ(kernel.sent.back(), a);
  kernel.script("sendmmsg", -1, EAGAIN);
  EXPECT_EQ(write({b, a}), 0U);
  kernel.script("sendmmsg", -1, EMSGSIZE);
  channel->flush();
  EXPECT_EQ(channel->waiting(), 0U);
  EXPECT_EQ(kernel.sent.back(), a);
}

TEST_F(PacketChannelTest, WhatWaitsIsBoundedAndTheRestIsLost) {
  start(Peer::kConnection);
  kernel.script("sendmmsg", -1, EAGAIN);
  EXPECT_EQ(write(Texts(2000, b)), 2000 - FrameChannel::kQueueMax / (4 + b.size()));
}

}  // namespace
}  // namespace sluice::link
