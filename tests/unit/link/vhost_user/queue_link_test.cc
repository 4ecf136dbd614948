// A link over shared memory, with a front-end and a driver of the test's: frames both ways, kicks
// and calls by their number, and what a hostile one can do.
#include "link/vhost_user/queue_link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>
#include <thread>

#include "unit/flow/engine/guest_frames.h"
#include "unit/link/vhost_user/link_fixture.h"
#include "virtio/ring/queue_config.h"

namespace sluice::link {
namespace {

using test::flow_frame;
using test::FrontEnd;
using test::kEventIndex;
using test::kPairs;
using test::kPlain;
using test::Way;
using virtio::Feature;
using virtio::FeatureSet;

class QueueLinkTest : public test::VhostUserTest {
 protected:
  explicit QueueLinkTest(std::uint16_t pairs = 1) : VhostUserTest(pairs, 1) {}
};

TEST_F(QueueLinkTest, WithoutAFrontEndFramesAreLost) {
  EXPECT_FALSE(ready());
  EXPECT_EQ(write({frame(1), frame(2)}), 2U);
}

TEST_F(QueueLinkTest, FramesGoBothWays) {
  const auto guest = connect(kPlain);
  guest->transmit(frame(1));
  guest->transmit(frame(2, 1500));
  pump();
  EXPECT_EQ(frames, (std::vector{frame(1), frame(2, 1500)}));
  EXPECT_EQ(guest->transmitted(), 2U);
  guest->offer_buffers(8);
  EXPECT_EQ(write({frame(3), frame(4, 5000)}), 0U);
  EXPECT_EQ(guest->receive(), (std::vector{frame(3), frame(4, 5000)}));
  EXPECT_EQ(told, std::vector<std::string>{});
}

TEST_F(QueueLinkTest, ABurstIsOneCallAndOneKick) {
  const auto guest = connect(kEventIndex);
  guest->offer_buffers(32);
  pump();
  (void)guest->receive();
  EXPECT_EQ(write({frame(1), frame(2), frame(3)}), 0U);
  EXPECT_EQ(guest->calls(0), 1U);
  // The driver looks at its ring anyway, and has not asked for another.
  EXPECT_EQ(write({frame(4)}), 0U);
  EXPECT_EQ(guest->calls(0), 0U);
  EXPECT_EQ(guest->receive().size(), 4U);
  std::size_t kicks = 0;
  for (std::size_t i = 0; i < 20; ++i) kicks += guest->transmit(frame(i)) ? 1 : 0;
  EXPECT_EQ(kicks, 1U);
  pump();
  EXPECT_EQ(frames.size(), 20U);
}

TEST_F(QueueLinkTest, ABusyGuestIsLookedAtWithoutKicks) {
  for (const FeatureSet features : {kPlain, kEventIndex}) {
    const auto guest = connect(features);
    std::size_t kicks = 0;
    for (std::size_t i = 0; i < 10; ++i) {
      kicks += guest->transmit(frame(i)) ? 1 : 0;
      kicks += guest->transmit(frame(i)) ? 1 : 0;
      turn();
    }
    EXPECT_LE(kicks, 2U);
    pump();
    EXPECT_EQ(frames.size(), 20U);
    // Idle again: the next one kicks.
    EXPECT_TRUE(guest->transmit(frame(1)));
    pump();
    EXPECT_EQ(frames.size(), 21U);
    frames.clear();
    guest->close();
  }
}

TEST_F(QueueLinkTest, AnIdleGuestWakesNobody) {
  const auto guest = connect(kPlain);
  guest->transmit(frame(1));
  pump();
  const std::size_t before = turns;
  pump();
  EXPECT_EQ(turns, before);
}

TEST_F(QueueLinkTest, FramesWaitForBuffersAndThenAreLost) {
  for (const FeatureSet features : {kPlain, kEventIndex}) {
    const auto guest = connect(features);
    guest->offer_buffers(2);
    pump();
    EXPECT_EQ(write({frame(1), frame(2), frame(3)}), 0U);
    EXPECT_FALSE(link->has_room());
    EXPECT_EQ(guest->receive(), (std::vector{frame(1), frame(2)}));
    EXPECT_EQ(write({frame(4)}), 0U);
    guest->offer_buffers(8);
    pump();
    EXPECT_EQ(guest->receive(), (std::vector{frame(3), frame(4)})) << "in order";
    EXPECT_TRUE(link->has_room());
    guest->close();
  }
  const auto guest = connect(kPlain);
  std::size_t lost = 0;
  for (std::size_t i = 0; i < 100; ++i) lost += write({frame(i, 60'000)});
  EXPECT_GT(lost, 0U);
  EXPECT_LT(lost, 100U);
}

// The driver has some buffers, and each is too small: it kicks for those behind them.
TEST_F(QueueLinkTest, AFrameThatNeedsMoreBuffersThanThereAreIsDeliveredLater) {
  for (const FeatureSet features : {kPlain, kEventIndex}) {
    const auto guest = connect(features);
    guest->offer_buffers(3);
    pump();
    EXPECT_EQ(write({frame(7, 20'000)}), 0U);
    EXPECT_TRUE(guest->receive().empty());
    for (std::size_t i = 0; i < 10; ++i) {
      guest->offer_buffers(1);
      pump();
    }
    EXPECT_EQ(guest->receive(), std::vector{frame(7, 20'000)});
    guest->close();
  }
}

TEST_F(QueueLinkTest, WhatADriverTakesIsToldBehindAnEvent) {
  EXPECT_FALSE(link->features().checksum);
  const auto guest =
      connect({Feature::kVersion1, Feature::kGuestCsum, Feature::kGuestTso4, Feature::kGuestTso6});
  EXPECT_TRUE(link->features().checksum);
  EXPECT_TRUE(link->features().tso);
  EXPECT_FALSE(link->features().uso);
  guest->close();
  EXPECT_FALSE(link->features().checksum);
}

TEST_F(QueueLinkTest, OneFrontEndComesAfterAnother) {
  auto first = connect(kPlain);
  const auto second = connect();
  first->transmit(frame(1));
  pump();
  first.reset();
  pump();
  second->start(kPlain);
  second->transmit(frame(2));
  pump();
  EXPECT_EQ(frames, (std::vector{frame(1), frame(2)}));
  EXPECT_EQ(told, std::vector<std::string>{}) << "to go is no fault";
}

TEST_F(QueueLinkTest, ADriverBeginsAnewInTheSameSession) {
  const auto guest = connect(kPlain);
  guest->transmit(frame(1));
  pump();
  for (std::uint32_t ring : {0U, 1U}) {
    guest->send(VhostRequest::kGetVringBase, VhostVringState{ring, 0});
    (void)guest->answer();
  }
  EXPECT_EQ(write({frame(2)}), 1U);
  guest->send(VhostRequest::kSetStatus, VhostNumber{0});
  guest->start_ring(0);
  guest->start_ring(1);
  guest->transmit(frame(3));
  guest->offer_buffers(1);
  pump();
  EXPECT_EQ(write({frame(4)}), 0U);
  EXPECT_EQ(frames, (std::vector{frame(1), frame(3)}));
  EXPECT_EQ(guest->receive(), std::vector{frame(4)});
}

TEST_F(QueueLinkTest, WhatWasThereBeforeARingBeganIsRead) {
  const auto guest = connect(kEventIndex);
  for (std::size_t i = 0; i < 3; ++i) guest->transmit(frame(i));
  pump();
  guest->send(VhostRequest::kGetVringBase, VhostVringState{1, 0});
  const auto base = guest->answer();
  ASSERT_TRUE(base);
  guest->transmit(frame(3));
  EXPECT_EQ(frames.size(), 3U);
  guest->resume_ring(1, static_cast<std::uint32_t>(*base >> 32));
  pump();
  EXPECT_EQ(frames.size(), 4U);
}

// User Mode Linux says 0 of a packed ring that was never used.
TEST_F(QueueLinkTest, APackedRingThatIsUnusedBeginsAtItsBeginning) {
  const auto guest = connect();
  guest->negotiate({Feature::kVersion1, Feature::kRingPacked});
  guest->share_memory();
  guest->start_ring(1);
  guest->send(VhostRequest::kGetVringBase, VhostVringState{1, 0});
  EXPECT_EQ(guest->answer().value_or(0) >> 32, virtio::kPackedStart);
  // DPDK says where the driver is, and nothing of what was used.
  guest->resume_ring(1, 0x8000);
  guest->send(VhostRequest::kGetVringBase, VhostVringState{1, 0});
  EXPECT_EQ(guest->answer().value_or(0) >> 32, virtio::kPackedStart);
  // The last descriptor to be used in an odd turn was the first of this one.
  guest->put_descriptor(1, 0, {.address = 0, .length = 0, .flags = 0, .next = 0x8080});
  guest->resume_ring(1, 0);
  guest->send(VhostRequest::kGetVringBase, VhostVringState{1, 0});
  EXPECT_EQ(guest->answer().value_or(1) >> 32, 0U);
}

TEST_F(QueueLinkTest, ADisabledRingIsNotTouched) {
  const auto guest = connect(kPlain);
  guest->send(VhostRequest::kSetVringEnable, VhostVringState{1, 0});
  guest->transmit(frame(1));
  pump();
  EXPECT_EQ(guest->transmitted(), 0U);
  guest->send(VhostRequest::kSetVringEnable, VhostVringState{1, 1});
  pump();
  EXPECT_EQ(frames, std::vector{frame(1)});
}

TEST_F(QueueLinkTest, ABrokenRingIsToldOnceAndTheOtherGoesOn) {
  const auto guest = connect(kPlain);
  guest->put_descriptor(1, 0, {.address = 0, .length = 100});
  guest->make_available(1, 0);
  for (int i = 0; i < 10; ++i) {
    guest->kick(1);
    pump();
  }
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("queue 1"), std::string::npos) << told[0];
  EXPECT_FALSE(guest->ended());
  guest->offer_buffers(1);
  EXPECT_EQ(write({frame(5)}), 0U);
  EXPECT_EQ(guest->receive(), std::vector{frame(5)});
  // Set up anew it is served again.
  guest->start_ring(1);
  guest->transmit(frame(6));
  pump();
  EXPECT_EQ(frames, std::vector{frame(6)});
}

TEST_F(QueueLinkTest, ABrokenReceiveRingHoldsNothing) {
  const auto guest = connect(kPlain);
  guest->set_available(0, 1000);
  EXPECT_EQ(write({frame(1)}), 1U);
  EXPECT_EQ(write({frame(1)}), 1U);
  EXPECT_EQ(told.size(), 1U);
  EXPECT_TRUE(link->has_room());
}

TEST_F(QueueLinkTest, MemoryThatIsTakenAwayEndsTheSessionOnly) {
  const auto guest = connect(kPlain);
  guest->transmit(frame(1));
  guest->cut_memory();
  guest->kick(1);
  pump();
  EXPECT_TRUE(guest->ended());
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("cut short"), std::string::npos) << told[0];
  const auto next = connect(kPlain);
  next->transmit(frame(2));
  pump();
  EXPECT_EQ(frames.back(), frame(2));
}

TEST_F(QueueLinkTest, MemoryThatIsTakenAwayUnderAWriteEndsTheSession) {
  const auto guest = connect(kPlain);
  guest->offer_buffers(4);
  pump();
  guest->cut_memory();
  (void)write({frame(1)});
  pump();
  EXPECT_TRUE(guest->ended());
}

// As the guest's kernel sends it: its bytes are read where they lie, by whoever wants them.
std::string large_tcp_frame() {
  const auto bytes = flow::test::tcp_frame({}, {.guest = flow::test::endpoint("10.0.2.15:40000"),
                                                .remote = flow::test::endpoint("198.51.100.7:80"),
                                                .payload = flow::test::stream(0, 20'000)});
  return {bytes.begin(), bytes.end()};
}

TEST_F(QueueLinkTest, LargeTcpDataIsTheGuestsAgainWhenItIsDoneWith) {
  const auto guest = connect(kPlain);
  guest->transmit(large_tcp_frame(), 1, wire::VirtioNetHeader::kNeedsCsum);
  const Link::Burst burst = link->read_burst(Link::Depth::kAsExpected);
  ASSERT_EQ(burst.frames.size(), 1U);
  EXPECT_FALSE(burst.frames[0].rest.empty());
  EXPECT_LT(burst.frames[0].bytes.size(), 200U);
  EXPECT_TRUE(std::ranges::equal(burst.frames[0].whole(), large_tcp_frame(), {}, {},
                                 [](char byte) { return static_cast<std::uint8_t>(byte); }));
  EXPECT_EQ(guest->transmitted(), 0U);
  link->flush();
  EXPECT_EQ(guest->transmitted(), 1U);
}

TEST_F(QueueLinkTest, LargeTcpDataWhoseMemoryIsTakenAwayIsNobodysDeath) {
  const auto guest = connect(kPlain);
  guest->transmit(large_tcp_frame(), 1, wire::VirtioNetHeader::kNeedsCsum);
  const Link::Burst burst = link->read_burst(Link::Depth::kAsExpected);
  ASSERT_EQ(burst.frames.size(), 1U);
  const wire::FrameIn& frame = burst.frames[0];
  ASSERT_FALSE(frame.rest.empty());
  EXPECT_TRUE(link->is_intact());
  guest->cut_memory();
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const UniqueFd near(ends[0]);
  const UniqueFd far(ends[1]);
  // To the kernel it is an error, to us it is zeros.
  EXPECT_EQ(::send(near.get(), frame.rest[0].data(), frame.rest[0].size(), MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(frame.whole().back(), 0);
  EXPECT_FALSE(link->is_intact());
  link->flush();
  EXPECT_TRUE(link->is_intact()) << "nothing is borrowed any more";
  guest->kick(1);
  pump();
  EXPECT_TRUE(guest->ended());
}

TEST_F(QueueLinkTest, MemoryThatIsUnmappedStopsTheRingsInIt) {
  const auto guest = connect(kPlain);
  guest->send(VhostRequest::kRemMemReg,
              VhostRegion{.guest_address = FrontEnd::kGuestBase,
                          .size = FrontEnd::kMemory,
                          .user_address = FrontEnd::kUserBase},
              {}, true);
  EXPECT_EQ(guest->answer(), 1U) << "rings were in it";
  guest->kick(1);
  pump();
  EXPECT_EQ(write({frame(1)}), 1U);
  EXPECT_FALSE(guest->ended());
}

TEST_F(QueueLinkTest, NonsenseEndsTheSessionAndTheNextIsServed) {
  const std::vector<std::function<void(FrontEnd&)>> all = {
      [](FrontEnd& f) { f.send_bytes(std::array<std::uint8_t, 12>{}); },
      [](FrontEnd& f) { f.send_bytes(std::array<std::uint8_t, 12>{99, 0, 0, 0, 1}); },
      [](FrontEnd& f) { f.send(VhostRequest::kSetFeatures, VhostNumber{~0ULL}); },
      [](FrontEnd& f) { f.send(VhostRequest::kSetVringNum, VhostVringState{77, 1}); },
      [](FrontEnd& f) { f.send(VhostRequest::kSetOwner, {}, {f.memory_file()}); },
      // A file cannot be watched for kicks.
      [](FrontEnd& f) {
        f.send(VhostRequest::kSetVringKick, VhostVringFd{1, true}, {f.memory_file()});
      },
      // Rings outside of the memory.
      [](FrontEnd& f) {
        f.send(VhostRequest::kSetVringAddr, VhostVringAddress{.index = 1, .descriptors = ~0ULL});
      },
      [](FrontEnd& f) {
        VhostTable table{.count = 2};
        table.regions[0] = table.regions[1] = {.guest_address = 0, .size = 4096};
        f.send(VhostRequest::kSetMemTable, table, {f.memory_file(), f.memory_file()});
      }};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto guest = connect(kPlain);
    all[i](*guest);
    EXPECT_TRUE(guest->ended()) << i;
    EXPECT_EQ(told.size(), i + 1) << i;
  }
  const auto guest = connect(kPlain);
  guest->transmit(frame(1));
  pump();
  EXPECT_EQ(frames, std::vector{frame(1)});
}

TEST_F(QueueLinkTest, AFullDescriptorForCallsHoldsNobodyUp) {
  const auto guest = connect(kPlain);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  ASSERT_GT(::fcntl(writer.get(), F_SETPIPE_SZ, 4096), 0);
  guest->send(VhostRequest::kSetVringCall, VhostVringFd{0, true}, {writer.get()});
  for (int i = 0; i < 1000; ++i) {
    guest->offer_buffers(1);
    (void)write({frame(1)});
    (void)guest->receive();
  }
  SUCCEED();
}

// A back-end that ends in the middle of a turn, as one that is killed does; another takes over.
class VhostUserTakeoverTest : public QueueLinkTest {
 protected:
  struct Other : QueueLinkTest {
    using QueueLinkTest::frames;
    using QueueLinkTest::front_ends;
    using QueueLinkTest::links;
    using QueueLinkTest::pump;
    void TestBody() override {}
  };
};

TEST_F(VhostUserTakeoverTest, WhatWasInFlightIsTakenAgainAndNothingElseIs) {
  for (const FeatureSet features : {kPlain, kEventIndex}) {
    // Goes last: what it has in hand it never gives back to a driver who looks.
    Other killed;
    auto guest = std::make_unique<FrontEnd>(killed.front_ends->connect(), [&] { killed.pump(); });
    guest->negotiate(features);
    guest->share_memory();
    guest->ask_for_inflight(2);
    guest->send_inflight();
    guest->start_ring(0);
    guest->start_ring(1);
    guest->transmit(frame(1));
    killed.pump();
    EXPECT_EQ(guest->transmitted(), 1U);
    guest->transmit(frame(2));
    guest->transmit(frame(3));
    EXPECT_EQ(killed.links[0]->read_burst(Link::Depth::kAsExpected).frames.size(), 2U);
    EXPECT_EQ(guest->transmitted(), 1U) << "it has told the driver nothing of them";
    guest->transmit(frame(4));

    guest->reconnect(front_ends->connect());
    guest->set_pump([this] { pump(); });
    guest->negotiate(features);
    guest->share_memory();
    guest->send_inflight();
    // What it says of where they stand is from before all that.
    guest->resume_ring(0, 0);
    guest->resume_ring(1, 0);
    pump();
    EXPECT_EQ(frames, (std::vector{frame(2), frame(3), frame(4)}));
    EXPECT_EQ(guest->transmitted(), 4U);
    EXPECT_EQ(guest->outstanding(1), 0U);
    guest->transmit(frame(5));
    guest->offer_buffers(2);
    pump();
    EXPECT_EQ(frames.back(), frame(5));
    EXPECT_EQ(write({frame(6), frame(7)}), 0U);
    EXPECT_EQ(guest->receive(), (std::vector{frame(6), frame(7)}));
    EXPECT_EQ(told, std::vector<std::string>{});
    guest->close();
    frames.clear();
  }
}

TEST_F(VhostUserTakeoverTest, ADriverThatBeginsAnewHasNothingInFlight) {
  const auto guest = connect();
  guest->negotiate(kPlain);
  guest->share_memory();
  guest->ask_for_inflight(2);
  guest->send_inflight();
  guest->start_ring(1);
  for (int i = 0; i < 5; ++i) guest->transmit(frame(1));
  pump();
  guest->send(VhostRequest::kGetVringBase, VhostVringState{1, 0});
  EXPECT_EQ(guest->answer().value_or(0) >> 32, 5U);
  guest->start_ring(1);
  guest->transmit(frame(2));
  pump();
  EXPECT_EQ(frames.size(), 6U);
  EXPECT_EQ(guest->transmitted(), 1U);
}

TEST_F(VhostUserTakeoverTest, ARegionOfNonsenseIsRefused) {
  const auto guest = connect();
  guest->negotiate(kPlain);
  guest->share_memory();
  guest->ask_for_inflight(2);
  guest->spoil_inflight();
  guest->send_inflight();
  guest->start_ring(1);
  EXPECT_TRUE(guest->ended());
  EXPECT_EQ(told.size(), 1U);
}

class VhostUserPairsTest : public QueueLinkTest {
 protected:
  VhostUserPairsTest() : QueueLinkTest(2) {}

  // A guest that has sent the first flow by the first pair, and the second by the second.
  auto connect_with_flows() {
    auto guest = connect(kPairs, 2);
    guest->transmit(flow_frame(1, Way::kFromGuest), 1);
    guest->transmit(flow_frame(2, Way::kFromGuest), 3);
    guest->offer_buffers(16, 0);
    guest->offer_buffers(16, 2);
    pump();
    return guest;
  }

  const std::string first = flow_frame(1, Way::kToGuest);
  const std::string second = flow_frame(2, Way::kToGuest);
};

TEST_F(VhostUserPairsTest, EachPairIsRead) {
  const auto guest = connect(kPairs, 2);
  guest->send(VhostRequest::kGetQueueNum);
  EXPECT_EQ(guest->answer(), 2U);
  guest->transmit(frame(1), 1);
  guest->transmit(frame(2), 3);
  pump();
  std::ranges::sort(frames);
  EXPECT_EQ(frames, (std::vector{frame(1), frame(2)}));
}

TEST_F(VhostUserPairsTest, AFlowGoesBackByThePairItCameBy) {
  const auto guest = connect_with_flows();
  EXPECT_EQ(write({first, second, second, first, frame(3)}), 0U);
  EXPECT_EQ(guest->receive(0), (std::vector{first, first, frame(3)}));
  EXPECT_EQ(guest->receive(2), (std::vector{second, second}));
  EXPECT_EQ(guest->calls(0), 1U) << "however often a batch comes back to a queue";
  EXPECT_EQ(guest->calls(2), 1U);
  // The guest moves it.
  guest->transmit(flow_frame(2, Way::kFromGuest), 1);
  pump();
  EXPECT_EQ(write({second}), 0U);
  EXPECT_EQ(guest->receive(0), std::vector{second});
  EXPECT_TRUE(guest->receive(2).empty());
}

TEST_F(VhostUserPairsTest, APairThatIsNotEnabledFallsBackToTheFirstThatIs) {
  const auto guest = connect_with_flows();
  guest->send(VhostRequest::kSetVringEnable, VhostVringState{2, 0});
  EXPECT_EQ(write({first, second}), 0U);
  EXPECT_EQ(guest->receive(0), (std::vector{first, second}));
  guest->send(VhostRequest::kSetVringEnable, VhostVringState{2, 1});
  guest->send(VhostRequest::kSetVringEnable, VhostVringState{0, 0});
  EXPECT_EQ(write({first, second}), 0U);
  EXPECT_EQ(guest->receive(2), (std::vector{first, second}));
  guest->send(VhostRequest::kSetVringEnable, VhostVringState{2, 0});
  EXPECT_EQ(write({first, second}), 2U);
}

TEST_F(VhostUserPairsTest, FramesThatWaitAtAPairGoOnWhenItIsDisabled) {
  const auto guest = connect(kPairs, 2);
  guest->transmit(flow_frame(2, Way::kFromGuest), 3);
  guest->offer_buffers(1, 0);
  pump();
  EXPECT_EQ(write({second, second, frame(1)}), 0U);
  EXPECT_FALSE(link->has_room());
  EXPECT_EQ(guest->receive(0), std::vector{frame(1)}) << "another pair is not held up";
  guest->send(VhostRequest::kSetVringEnable, VhostVringState{2, 0});
  guest->offer_buffers(4, 0);
  pump();
  EXPECT_EQ(guest->receive(0), (std::vector{second, second}));
  EXPECT_TRUE(link->has_room());
  // Without any pair there is nothing that they could wait for.
  EXPECT_EQ(write({second, second, second, second}), 0U);
  EXPECT_FALSE(link->has_room());
  guest->send(VhostRequest::kSetVringEnable, VhostVringState{0, 0});
  EXPECT_TRUE(link->has_room());
}

TEST_F(VhostUserPairsTest, APairThatIsNotFilledHoldsUpNoOtherForLong) {
  const auto guest = connect_with_flows();
  for (const std::string& frame : std::vector(16, second)) EXPECT_EQ(write({frame}), 0U);
  EXPECT_EQ(guest->receive(2).size(), 16U);
  EXPECT_EQ(write({second, second}), 0U);
  EXPECT_FALSE(link->has_room());
  EXPECT_LT(link->room_at(), kNever);
  std::this_thread::sleep_for(kReceivePatience);
  EXPECT_FALSE(link->has_room()) << "the guest may have been stopped";
  guest->transmit(frame(1), 1);
  pump();
  std::this_thread::sleep_for(kReceivePatience);
  EXPECT_TRUE(link->has_room());
  EXPECT_EQ(link->room_at(), kNever);
  EXPECT_EQ(write({first, second}), 3U) << "those that waited, and what comes after them";
  EXPECT_TRUE(link->has_room());
  EXPECT_EQ(guest->receive(0), std::vector{first});
  // It is as before once the driver fills it.
  guest->offer_buffers(1, 2);
  EXPECT_EQ(write({second, second}), 0U);
  EXPECT_EQ(guest->receive(2), std::vector{second});
  EXPECT_FALSE(link->has_room());
}

TEST_F(VhostUserPairsTest, WithoutAnotherPairThatGetsOnFramesWait) {
  const auto guest = connect(kPairs, 1);
  EXPECT_EQ(write({frame(1)}), 0U);
  guest->transmit(frame(2), 1);
  pump();
  std::this_thread::sleep_for(kReceivePatience);
  EXPECT_FALSE(link->has_room());
  EXPECT_EQ(link->room_at(), kNever);
}

TEST_F(VhostUserPairsTest, ARingThatBreaksHoldsNothing) {
  const auto guest = connect(kPairs, 2);
  EXPECT_EQ(write({frame(1)}), 0U);
  EXPECT_FALSE(link->has_room());
  guest->set_available(0, 1000);
  guest->kick(0);
  pump();
  EXPECT_TRUE(link->has_room());
  EXPECT_EQ(told.size(), 1U);
}

// A driver that has the control queue says how many pairs it uses; it begins with one.
TEST_F(VhostUserPairsTest, ByTheControlQueueADriverSaysHowManyPairsItUses) {
  FeatureSet features = kPairs;
  features.add(Feature::kCtrlVq);
  const auto guest = connect(features, 2);
  guest->start_ring(4);
  guest->transmit(flow_frame(2, Way::kFromGuest), 3);
  guest->offer_buffers(8, 0);
  guest->offer_buffers(8, 2);
  pump();
  EXPECT_EQ(write({second}), 0U);
  EXPECT_EQ(guest->receive(0), std::vector{second});
  // VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2.
  guest->command(4, {4, 0, 2, 0});
  pump();
  guest->transmit(flow_frame(2, Way::kFromGuest), 3);
  pump();
  EXPECT_EQ(write({second}), 0U);
  EXPECT_EQ(guest->receive(2), std::vector{second});
  guest->command(4, {4, 0, 1, 0});
  pump();
  EXPECT_EQ(write({second}), 0U);
  EXPECT_EQ(guest->receive(0), std::vector{second});
}

}  // namespace
}  // namespace sluice::link
