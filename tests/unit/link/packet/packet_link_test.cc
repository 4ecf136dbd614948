// PacketLink over rings in ordinary memory and a kernel that answers as scripted.
#include "link/packet/packet_link.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "unit/link/packet/filled_ring.h"
#include "unit/sys/fake_kernel.h"

namespace sluice::link {
namespace {

using Depth = Link::Depth;

constexpr RingShape kMany{.slot_size = 2048, .slots_per_block = 1024, .blocks = 1};

class PacketLinkTest : public ::testing::Test {
 protected:
  std::string read() {
    std::string result;
    for (const wire::FrameIn& frame : link.read_burst(Depth::kAsExpected).frames) {
      result += static_cast<char>(frame.bytes.front());
    }
    return result;
  }
  static wire::FrameBatch batch_of(std::size_t frames, ByteView payload = {}) {
    wire::FrameBatch batch;
    for (std::size_t i = 0; i < frames; ++i) {
      std::ranges::fill(batch.add(42, payload, {}), std::uint8_t{'h'});
    }
    return batch;
  }

  sys::FakeKernel kernel;
  FilledRing short_ones{kMany};
  FilledRing long_ones{kMany};
  PacketLink link{kernel,
                  {{UniqueFd(), short_ones.ring()}, {UniqueFd(), long_ones.ring()}},
                  {.checksum = true, .tso = true}};
};

TEST_F(PacketLinkTest, FramesOfBothRingsComeInTheOrderInWhichTheyCame) {
  short_ones.fill('a', 60, 1);
  long_ones.fill('b', 60, 2);
  long_ones.fill('c', 60, 3);
  short_ones.fill('d', 60, 4);
  short_ones.fill('e', 60, 6);
  long_ones.fill('f', 60, 5);
  EXPECT_EQ(read(), "abcdfe");
  EXPECT_EQ(kernel.calls.size(), 0U);
}

TEST_F(PacketLinkTest, SlotsGoBackAtTheEndOfATurnOrWithTheNextBurst) {
  short_ones.fill('a');
  EXPECT_EQ(read(), "a");
  EXPECT_EQ(short_ones.status(0), TP_STATUS_USER);
  link.flush();
  EXPECT_EQ(short_ones.status(0), TP_STATUS_KERNEL);
  long_ones.fill('b');
  EXPECT_EQ(read(), "b");
  EXPECT_EQ(read(), "");
  EXPECT_EQ(long_ones.status(0), TP_STATUS_KERNEL);
}

TEST_F(PacketLinkTest, ABurstEndsWhereOthersHaveTheirTurn) {
  for (int i = 0; i < 130; ++i) short_ones.fill('x');
  const Link::Burst burst = link.read_burst(Depth::kToTheEnd);
  EXPECT_EQ(burst.frames.size(), 128U);
  EXPECT_FALSE(burst.drained);
  const Link::Burst rest = link.read_burst(Depth::kToTheEnd);
  EXPECT_EQ(rest.frames.size(), 2U);
  EXPECT_TRUE(rest.drained);
}

TEST_F(PacketLinkTest, WhatTheKernelCutIsLeftOut) {
  short_ones.fill('a');
  short_ones.fill('b').tp_len = 9000;
  short_ones.fill('c');
  EXPECT_EQ(read(), "ac");
}

TEST_F(PacketLinkTest, AnInterfaceThatWasDeletedIsGone) {
  EXPECT_FALSE(link.read_burst(Depth::kAsExpected).gone);
  EXPECT_EQ(kernel.count("getsockopt"), 2U);
  // Whichever of them still knows it: a write may have been told by the other.
  kernel.script_value(0);
  kernel.script_value(ENETDOWN);
  EXPECT_TRUE(link.read_burst(Depth::kAsExpected).gone);
  kernel.script_value(ENOBUFS);
  EXPECT_FALSE(link.read_burst(Depth::kAsExpected).gone);
}

TEST_F(PacketLinkTest, NobodyIsAskedWhereFramesCameOrNothingWasTold) {
  short_ones.fill('a');
  EXPECT_EQ(read(), "a");
  EXPECT_EQ(link.read_burst(Depth::kToTheEnd).frames.size(), 0U);
  EXPECT_EQ(kernel.count("getsockopt"), 0U);
}

TEST_F(PacketLinkTest, ABatchIsOneCallWithAHeaderBeforeEachFrame) {
  const std::string payload(9000, 'p');
  const ByteView bytes(reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size());
  wire::FrameBatch batch;
  const wire::VirtioNetHeader offload{.gso_type = wire::VirtioNetHeader::kGsoTcpV6,
                                      .gso_size = 1440};
  std::ranges::fill(batch.add(42, bytes, offload), std::uint8_t{'h'});
  std::ranges::fill(batch.add(60, {}, {}), std::uint8_t{'i'});
  EXPECT_EQ(link.write(batch), 0U);
  EXPECT_EQ(kernel.count("sendmmsg"), 1U);
  std::string header(10, '\0');
  offload.emit_legacy(FixedBytes<10>(reinterpret_cast<std::uint8_t*>(header.data()), 10));
  ASSERT_EQ(kernel.sent.size(), 2U);
  EXPECT_EQ(kernel.sent[0], header + std::string(42, 'h') + payload);
  EXPECT_EQ(kernel.sent[1], std::string(10, '\0') + std::string(60, 'i'));
}

TEST_F(PacketLinkTest, LargeBatchesGoOutInSeveralCalls) {
  EXPECT_EQ(link.write(batch_of(130)), 0U);
  EXPECT_EQ(kernel.count("sendmmsg"), 3U);
  EXPECT_EQ(kernel.sent.size(), 130U);
}

TEST_F(PacketLinkTest, FramesThatTheKernelRefusesAreCountedAndTheOthersGoOut) {
  kernel.script("sendmmsg", 2);
  kernel.script("sendmmsg", -1, EMSGSIZE);
  kernel.script("sendmmsg", 2);
  EXPECT_EQ(link.write(batch_of(5)), 1U);
  EXPECT_EQ(kernel.count("sendmmsg"), 3U);
  EXPECT_EQ(kernel.last("sendmmsg")->second, 0);
}

TEST_F(PacketLinkTest, OneFrameOfABatchWaitsForRoomAndTheOthersDoNot) {
  kernel.script("sendmmsg", 1);
  for (int i = 0; i < 3; ++i) kernel.script("sendmmsg", -1, EAGAIN);
  EXPECT_EQ(link.write(batch_of(4)), 3U);
  ASSERT_EQ(kernel.calls.size(), 4U);
  EXPECT_EQ(kernel.calls[0].second, 0);
  EXPECT_EQ(kernel.calls[1].second, 0);
  EXPECT_EQ(kernel.calls[2].second, MSG_DONTWAIT);
  EXPECT_EQ(kernel.calls[3].second, MSG_DONTWAIT);
  // The next batch may find room again.
  EXPECT_EQ(link.write(batch_of(1)), 0U);
  EXPECT_EQ(kernel.last("sendmmsg")->second, 0);
}

}  // namespace
}  // namespace sluice::link
