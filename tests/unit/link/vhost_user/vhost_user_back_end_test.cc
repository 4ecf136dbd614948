// Links of several workers over one front-end's memory: who reads and wakes whom, and threads that
// use them while the session changes all they stand on.
#include "link/vhost_user/vhost_user_back_end.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "unit/link/vhost_user/link_fixture.h"

namespace sluice::link {
namespace {

using test::flow_frame;
using test::FrontEnd;
using test::kFlowAt;
using test::kPairs;
using test::Way;
using virtio::Feature;
using virtio::FeatureSet;

class VhostUserWorkersTest : public test::VhostUserTest {
 protected:
  explicit VhostUserWorkersTest(bool one_off = false) : VhostUserTest(2, 2, one_off) {}
};

TEST_F(VhostUserWorkersTest, ThereIsALinkForEachWorkerAsFarAsThereArePairs) {
  EXPECT_EQ(back_end->workers(), 2U);
  VhostUserOptions options;
  options.device.queue_pairs_max = 3;
  options.workers = 8;
  auto made = VhostUserBackEnd::create(
      sys::real_kernel(), std::make_unique<test::PairedFrontEnds>(), std::move(options));
  ASSERT_TRUE(made);
  EXPECT_EQ((*made)->workers(), 3U);
}

TEST_F(VhostUserWorkersTest, EachReadsAndIsWokenForItsOwnPairs) {
  const auto guest = connect(kPairs, 2);
  guest->transmit(frame(1), 3);
  EXPECT_FALSE(ready(0));
  ASSERT_TRUE(ready(1));
  turn(1);
  EXPECT_EQ(frames, std::vector{frame(1)});
  pump();
  guest->transmit(frame(2), 1);
  EXPECT_TRUE(ready(0));
  EXPECT_FALSE(ready(1));
  turn(0);
  EXPECT_EQ(frames, (std::vector{frame(1), frame(2)}));
}

TEST_F(VhostUserWorkersTest, EachWritesToAllPairs) {
  const auto guest = connect(kPairs, 2);
  guest->transmit(flow_frame(1, Way::kFromGuest), 1);
  guest->transmit(flow_frame(2, Way::kFromGuest), 3);
  guest->offer_buffers(8, 0);
  guest->offer_buffers(8, 2);
  pump();
  const std::string first = flow_frame(1, Way::kToGuest);
  const std::string second = flow_frame(2, Way::kToGuest);
  EXPECT_EQ(write({first, second}, 0), 0U);
  EXPECT_EQ(write({second, first}, 1), 0U);
  EXPECT_EQ(guest->receive(0), (std::vector{first, first}));
  EXPECT_EQ(guest->receive(2), (std::vector{second, second}));
}

TEST_F(VhostUserWorkersTest, WhoFoundNoRoomIsWokenWhenThereIsSome) {
  const auto guest = connect(kPairs, 2);
  guest->transmit(flow_frame(2, Way::kFromGuest), 3);
  pump();
  const std::string second = flow_frame(2, Way::kToGuest);
  EXPECT_EQ(write({second}, 0), 0U);
  EXPECT_FALSE(links[0]->has_room());
  EXPECT_FALSE(links[1]->has_room());
  guest->offer_buffers(1, 2);
  EXPECT_FALSE(ready(0)) << "the kick is the other's";
  turn(1);
  EXPECT_TRUE(ready(0));
  EXPECT_TRUE(links[0]->has_room());
  EXPECT_EQ(guest->receive(2), std::vector{second});
  pump();
}

TEST_F(VhostUserWorkersTest, WhoFindsAPairLeftWakesTheOthers) {
  const auto guest = connect(kPairs, 2);
  guest->transmit(flow_frame(2, Way::kFromGuest), 3);
  pump();
  EXPECT_EQ(write({flow_frame(2, Way::kToGuest)}, 0), 0U);
  EXPECT_FALSE(links[1]->has_room());
  guest->transmit(flow_frame(1, Way::kFromGuest), 1);
  turn(0);
  std::this_thread::sleep_for(kReceivePatience);
  EXPECT_FALSE(ready(1));
  EXPECT_TRUE(links[0]->has_room());
  EXPECT_TRUE(ready(1));
  EXPECT_TRUE(links[1]->has_room());
  pump();
}

TEST_F(VhostUserWorkersTest, WhatADriverTakesIsToldToEach) {
  FeatureSet features = kPairs;
  features.add(Feature::kGuestCsum);
  const auto guest = connect(features, 2);
  EXPECT_TRUE(links[0]->features().checksum);
  EXPECT_TRUE(links[1]->features().checksum);
}

// They may be what the driver of now cannot take.
TEST_F(VhostUserWorkersTest, FramesMadeForAnotherDriverAreLost) {
  FeatureSet features = kPairs;
  features.add(Feature::kGuestCsum);
  auto guest = connect(features, 2);
  guest.reset();
  turn(0);
  guest = std::make_unique<FrontEnd>(front_ends->connect(), [this] { turn(0); });
  guest->start(kPairs, 2);
  guest->offer_buffers(8, 0);
  guest->offer_buffers(8, 2);
  turn(0);
  EXPECT_TRUE(links[1]->features().checksum) << "it has not read since";
  EXPECT_EQ(write({frame(1)}, 1), 1U);
  EXPECT_EQ(write({frame(2)}, 0), 0U);
  EXPECT_TRUE(ready(1)) << "it is woken for it";
  turn(1);
  EXPECT_FALSE(links[1]->features().checksum);
  EXPECT_EQ(write({frame(3)}, 1), 0U);
}

// Frames may lie in the memory that a message takes away: it waits for whoever has them.
TEST_F(VhostUserWorkersTest, MemoryStaysWhileAnyHasFramesOfIt) {
  const auto guest = connect(kPairs, 2);
  guest->transmit(frame(1), 3);
  ASSERT_EQ(links[1]->read_burst(Link::Depth::kAsExpected).frames.size(), 1U);
  guest->set_pump([] {});
  guest->share_memory();
  std::atomic<bool> done{false};
  std::thread first([&] {
    turn(0);
    done = true;
  });
  // However long that is: nothing that is right fails for being slow.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(done);
  links[1]->flush();
  first.join();
  EXPECT_EQ(guest->transmitted(3), 1U);
  pump();
  guest->transmit(frame(2), 3);
  pump();
  EXPECT_EQ(frames, std::vector{frame(2)});
}

TEST_F(VhostUserWorkersTest, MemoryThatAnyFindsGoneEndsTheSession) {
  const auto guest = connect(kPairs, 2);
  guest->cut_memory();
  guest->kick(3);
  turn(1);
  EXPECT_TRUE(ready(0));
  pump();
  EXPECT_TRUE(guest->ended());
  EXPECT_EQ(told.size(), 1U);
  const auto next = connect(kPairs, 2);
  next->transmit(frame(2), 3);
  pump();
  EXPECT_EQ(frames, std::vector{frame(2)});
}

class VhostUserOneOffTest : public VhostUserWorkersTest {
 protected:
  VhostUserOneOffTest() : VhostUserWorkersTest(true) {}
};

TEST_F(VhostUserOneOffTest, TheLastFrontEndIsTheEndOfAllLinks) {
  auto guest = connect(kPairs, 2);
  guest.reset();
  ASSERT_TRUE(ready(0));
  EXPECT_TRUE(links[0]->read_burst(Link::Depth::kAsExpected).gone);
  ASSERT_TRUE(ready(1));
  EXPECT_TRUE(links[1]->read_burst(Link::Depth::kAsExpected).gone);
}

// Each link in a thread of its own, as workers use them; each frame is answered.
class VhostUserThreadsTest : public VhostUserWorkersTest {
 protected:
  VhostUserThreadsTest() {
    for (std::size_t worker = 0; worker < 2; ++worker) {
      threads[worker] = std::thread([this, worker] { work(worker); });
    }
  }
  ~VhostUserThreadsTest() override { stop(); }
  void stop() {
    ends = true;
    for (std::thread& thread : threads) {
      if (thread.joinable()) thread.join();
    }
  }
  void work(std::size_t worker) {
    while (!ends) {
      pollfd poll{.fd = links[worker]->descriptors()[0], .events = POLLIN, .revents = 0};
      if (::poll(&poll, 1, 10) != 1) continue;
      const Link::Burst burst = links[worker]->read_burst(Link::Depth::kAsExpected);
      wire::FrameBatch batch;
      for (const wire::FrameIn& frame : burst.frames) {
        const std::string answer = flow_frame(frame.bytes[kFlowAt], Way::kToGuest);
        std::ranges::copy(answer, batch.add(answer.size(), {}, {}).begin());
      }
      read += burst.frames.size();
      (void)links[worker]->write(batch);
      (void)links[worker]->has_room();
      links[worker]->flush();
    }
  }
  // Answers come from the first link's thread.
  [[nodiscard]] static std::optional<std::uint64_t> await_answer(FrontEnd& guest) {
    for (int i = 0; i < 20'000; ++i) {
      if (const auto answer = guest.answer()) return answer;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return std::nullopt;
  }
  [[nodiscard]] std::unique_ptr<FrontEnd> begin() const {
    auto guest = std::make_unique<FrontEnd>(front_ends->connect(), [] {});
    guest->start(kPairs, 2);
    // Whatever was said before has been done.
    guest->send(VhostRequest::kGetFeatures);
    EXPECT_TRUE(await_answer(*guest));
    return guest;
  }
  // As many as the rings take, and buffers for what comes back.
  static void send_some(FrontEnd& guest, std::array<std::size_t, 2>& sent) {
    for (std::size_t pair = 0; pair < 2; ++pair) {
      const std::size_t ring = 2 * pair + 1;
      const auto flow = static_cast<std::uint8_t>(sent[pair] % 8);
      if (guest.outstanding(ring) < FrontEnd::kRingSize / 2) {
        guest.transmit(flow_frame(flow, Way::kFromGuest), ring);
        ++sent[pair];
      }
      (void)guest.receive(2 * pair);
      if (guest.outstanding(2 * pair) < FrontEnd::kRingSize / 2) guest.offer_buffers(1, 2 * pair);
    }
  }

  std::atomic<bool> ends{false};
  std::atomic<std::size_t> read{0};
  std::array<std::thread, 2> threads;
};

TEST_F(VhostUserThreadsTest, TheSessionChangesMemoryAndRingsUnderThem) {
  for (int round = 0; round < 3; ++round) {
    const auto guest = begin();
    std::array<std::size_t, 2> sent{};
    for (int i = 0; i < 200; ++i) {
      send_some(*guest, sent);
      if (i % 20 == 5) guest->share_memory();
      if (i % 20 == 10) {
        guest->send(VhostRequest::kSetVringEnable, VhostVringState{2, 0});
        guest->send(VhostRequest::kSetVringEnable, VhostVringState{2, 1});
      }
      if (i % 20 == 15) {
        guest->send(VhostRequest::kGetVringBase, VhostVringState{3, 0});
        const auto base = await_answer(*guest);
        ASSERT_TRUE(base);
        guest->resume_ring(3, static_cast<std::uint32_t>(*base >> 32));
      }
    }
    const std::size_t all = sent[0] + sent[1];
    for (int i = 0; i < 20'000 && guest->transmitted(1) + guest->transmitted(3) < all; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(guest->transmitted(1), sent[0]);
    EXPECT_EQ(guest->transmitted(3), sent[1]);
  }
  stop();
  EXPECT_GT(read, 0U);
  EXPECT_EQ(told, std::vector<std::string>{});
}

TEST_F(VhostUserThreadsTest, AFrontEndGoesWithItsMemoryUnderThem) {
  for (int round = 0; round < 10; ++round) {
    const auto guest = begin();
    std::array<std::size_t, 2> sent{};
    for (int i = 0; i < 40; ++i) send_some(*guest, sent);
    if (round % 2 == 0) guest->cut_memory();
    guest->kick(1);
    guest->kick(3);
    guest->close();
  }
  // The next is served.
  const auto guest = begin();
  guest->transmit(flow_frame(1, Way::kFromGuest), 3);
  for (int i = 0; i < 20'000 && guest->transmitted(3) == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(guest->transmitted(3), 1U);
}

}  // namespace
}  // namespace sluice::link
