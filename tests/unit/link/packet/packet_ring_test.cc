#include "link/packet/packet_ring.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/unique_fd.h"
#include "unit/link/packet/filled_ring.h"

namespace sluice::link {
namespace {

class PacketRingTest : public ::testing::Test {
 protected:
  // The first byte of the next frame; -1 where there is none, -2 where it is none of ours.
  int take() {
    if (!ring.next_at()) return -1;
    const auto frame = ring.take();
    return frame ? frame->bytes.front() : -2;
  }

  FilledRing kernel;
  PacketRing ring = kernel.ring();
};

TEST_F(PacketRingTest, FramesComeInTheirOrderAndTheirSlotsStayOursUntilGivenBack) {
  EXPECT_FALSE(ring.next_at());
  kernel.fill(1);
  kernel.fill(2);
  EXPECT_EQ(take(), 1);
  EXPECT_EQ(take(), 2);
  EXPECT_EQ(take(), -1);
  EXPECT_EQ(kernel.status(0), TP_STATUS_USER);
  ring.give_back();
  EXPECT_EQ(kernel.status(0), TP_STATUS_KERNEL);
  EXPECT_EQ(kernel.status(1), TP_STATUS_KERNEL);
}

TEST_F(PacketRingTest, ItGoesRoundAndNeverTakesAFrameTwice) {
  for (std::uint8_t i = 0; i < 4; ++i) kernel.fill(i);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(take(), i);
  // Every slot is ours, and says that it is filled.
  EXPECT_EQ(take(), -1);
  ring.give_back();
  EXPECT_EQ(take(), -1);
  for (std::uint8_t i = 4; i < 10; ++i) {
    kernel.fill(i);
    EXPECT_EQ(take(), i);
    ring.give_back();
  }
}

TEST_F(PacketRingTest, TheHeaderSaysWhatTheGuestLeftToUsAndTheClockWhenItCame) {
  const wire::VirtioNetHeader offload{.flags = wire::VirtioNetHeader::kNeedsCsum,
                                      .gso_type = wire::VirtioNetHeader::kGsoTcpV4,
                                      .gso_size = 1448,
                                      .csum_start = 34,
                                      .csum_offset = 16};
  kernel.fill(7, 1000, 5, offload).tp_sec = 3;
  EXPECT_EQ(ring.next_at(), 3'000'000'005U);
  const auto frame = ring.take();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->offload, offload);
  EXPECT_EQ(frame->bytes.size(), 1000U);
  EXPECT_EQ(frame->bytes.back(), 7);
}

TEST_F(PacketRingTest, WhatIsNotWholeOrMakesNoSenseIsNoFrame) {
  kernel.fill(1).tp_len = 70'000;  // Longer than its slot: the kernel cut it.
  EXPECT_EQ(take(), -2);
  kernel.fill(1, 13);
  EXPECT_EQ(take(), -2);
  kernel.fill(1).tp_mac = sizeof(tpacket2_hdr) + FilledRing::kHeaderSize - 1;
  EXPECT_EQ(take(), -2);
  ring.give_back();
  kernel.fill(1, 60).tp_mac = 2048 - 59;
  EXPECT_EQ(take(), -2);
  kernel.fill(1).tp_mac = 0xffff;
  EXPECT_EQ(take(), -2);
  kernel.fill(9, 2048 - FilledRing::kFrame);
  EXPECT_EQ(take(), 9);
}

TEST_F(PacketRingTest, ATagThatTheKernelTookOutIsPutBack) {
  auto tag = [](tpacket2_hdr& header) {
    header.tp_status |= TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
    header.tp_vlan_tci = 0x2005;
    header.tp_vlan_tpid = ETH_P_8021AD;
  };
  tag(kernel.fill(0xab, 60, 0, {.flags = wire::VirtioNetHeader::kNeedsCsum, .csum_start = 34}));
  tag(kernel.fill(0xab));
  kernel.header(1).tp_status = TP_STATUS_USER | TP_STATUS_VLAN_VALID;
  ASSERT_TRUE(ring.next_at());
  const auto frame = ring.take();
  ASSERT_TRUE(frame);
  ASSERT_EQ(frame->bytes.size(), 64U);
  EXPECT_EQ(frame->bytes[11], 0xab);
  EXPECT_EQ(be16<0>(frame->bytes.subspan<12, 2>()), ETH_P_8021AD);
  EXPECT_EQ(be16<0>(frame->bytes.subspan<14, 2>()), 0x2005);
  EXPECT_EQ(frame->bytes[16], 0xab);
  EXPECT_TRUE(frame->offload.needs_checksum());
  EXPECT_EQ(frame->offload.csum_start, 38);
  // Kernels that say nothing of its kind know one only.
  ASSERT_TRUE(ring.next_at());
  const auto other = ring.take();
  ASSERT_TRUE(other);
  EXPECT_EQ(be16<0>(other->bytes.subspan<12, 2>()), ETH_P_8021Q);
  EXPECT_EQ(other->offload.csum_start, 0);
}

TEST(PacketRings, SeveralBlocksAreGoneThroughInTurn) {
  FilledRing kernel({.slot_size = 2048, .slots_per_block = 2, .blocks = 2});
  PacketRing ring = kernel.ring();
  for (std::uint8_t i = 0; i < 4; ++i) kernel.fill(i);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(ring.next_at());
    EXPECT_EQ(ring.take()->bytes.front(), i);
  }
}

TEST(PacketRings, ASocketWithoutARingIsNotMapped) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto ring = PacketRing::map(fd.get(), rings_of(1).for_short);
  ASSERT_FALSE(ring);
  EXPECT_NE(ring.error().error, 0);
}

}  // namespace
}  // namespace sluice::link
