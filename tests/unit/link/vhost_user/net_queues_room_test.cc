// Payload that is put into the guest's own buffers before its frames are written.
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "unit/flow/engine/guest_frames.h"
#include "unit/link/vhost_user/link_fixture.h"

namespace sluice::link {
namespace {

using test::flow_frame;
using test::kFlowAt;
using test::Way;
using virtio::Feature;
using virtio::FeatureSet;

constexpr FeatureSet kOne{Feature::kVersion1, Feature::kMrgRxbuf, Feature::kGuestCsum};
constexpr FeatureSet kTwo{Feature::kVersion1, Feature::kMrgRxbuf, Feature::kGuestCsum,
                          Feature::kMq};

class NetQueuesRoomTest : public test::VhostUserTest {
 protected:
  explicit NetQueuesRoomTest(std::uint16_t pairs = 1, std::size_t workers = 1)
      : VhostUserTest(pairs, workers) {}

  // Three frames of a flow, the last one short.
  [[nodiscard]] Link::RoomWanted wanted(std::uint8_t flow = 1) const {
    const std::string bytes = flow_frame(flow, Way::kToGuest);
    const auto tuple =
        wire::flow_of_frame({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    return {.flow = *tuple, .headers = bytes.size(), .payload = 5000, .bytes = 12'000};
  }
  static std::size_t put(std::span<const MutableBytes> room, const std::string& stream) {
    std::size_t at = 0;
    for (const MutableBytes piece : room) {
      const std::size_t part = std::min(piece.size(), stream.size() - at);
      std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(at), part, piece.begin());
      at += part;
    }
    return at;
  }
  // Frames that are cut from bytes which nobody may look at, as far as there is room for them.
  void write_cut(const std::string& shown, std::uint8_t flow = 1, std::size_t worker = 0) {
    const std::string headers = flow_frame(flow, Way::kToGuest);
    wire::FrameBatch batch;
    const ByteView all(reinterpret_cast<const std::uint8_t*>(shown.data()), shown.size());
    for (std::size_t at = 0; at < all.size(); at += 5000) {
      const ByteView payload = all.subspan(at, std::min<std::size_t>(5000, all.size() - at));
      std::ranges::copy(headers, batch.add(headers.size(), payload, {}).begin());
    }
    EXPECT_EQ(links[worker]->write(batch), 0U);
  }
  [[nodiscard]] std::vector<std::string> cut(const std::string& stream, std::uint8_t flow = 1) {
    std::vector<std::string> all;
    for (std::size_t at = 0; at < stream.size(); at += 5000) {
      all.push_back(flow_frame(flow, Way::kToGuest) + stream.substr(at, 5000));
    }
    return all;
  }
  [[nodiscard]] static std::string stream(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>('a' + i % 23);
    return bytes;
  }
};

TEST_F(NetQueuesRoomTest, FramesAreTheSame) {
  const auto guest = connect(kOne);
  guest->offer_buffers(32);
  pump();
  EXPECT_TRUE(link->offers_room());
  const auto room = link->room_for(wanted());
  EXPECT_EQ(put(room, stream(12'000)), 12'000U);
  write_cut(std::string(12'000, '?'));
  EXPECT_EQ(guest->receive(), cut(stream(12'000)));
  EXPECT_EQ(guest->calls(0), 1U);
  // Without room the next ones come as ever.
  write_cut(stream(12'000));
  EXPECT_EQ(guest->receive(), cut(stream(12'000)));
}

TEST_F(NetQueuesRoomTest, WhatHasNoRoomIsWrittenBehindItAndWaits) {
  const auto guest = connect(kOne);
  guest->offer_buffers(4);
  pump();
  EXPECT_EQ(put(link->room_for(wanted()), stream(12'000)), 5000U);
  std::string shown = stream(12'000);
  std::ranges::fill_n(shown.begin(), 5000, '?');
  write_cut(shown);
  EXPECT_FALSE(link->has_room());
  EXPECT_TRUE(link->room_for(wanted()).empty()) << "none overtakes what waits";
  guest->offer_buffers(32);
  pump();
  EXPECT_EQ(guest->receive(), cut(stream(12'000)));
}

TEST_F(NetQueuesRoomTest, RoomThatIsLeftIsTheDriversAgain) {
  const auto guest = connect(kOne);
  guest->offer_buffers(8);
  pump();
  link->leave_room(false);
  ASSERT_FALSE(link->room_for(wanted()).empty());
  link->leave_room(false);
  EXPECT_EQ(guest->outstanding(0), 8U);
  EXPECT_EQ(guest->calls(0), 0U);
  write_cut(stream(12'000));
  EXPECT_EQ(guest->receive(), cut(stream(12'000)));
}

// Chains are what they were when they were taken.
TEST_F(NetQueuesRoomTest, WhatTheGuestWritesMeanwhileChangesNothing) {
  const auto guest = connect(kOne);
  guest->offer_buffers(32);
  pump();
  EXPECT_EQ(put(link->room_for(wanted()), stream(12'000)), 12'000U);
  for (std::uint16_t slot = 0; slot < test::FrontEnd::kRingSize; ++slot) {
    guest->put_descriptor(0, slot, {~std::uint64_t{0}, 1, test::FrontEnd::kNext, slot});
  }
  guest->set_available(0, 7777);
  write_cut(std::string(12'000, '?'));
  EXPECT_EQ(guest->receive(), cut(stream(12'000)));
  EXPECT_TRUE(link->room_for(wanted()).empty()) << "now the ring is broken";
  EXPECT_FALSE(guest->ended());
}

TEST_F(NetQueuesRoomTest, WhereBytesHaveToBeLookedAtThereIsNone) {
  const auto guest = connect(test::kPlain);
  guest->offer_buffers(32);
  pump();
  EXPECT_TRUE(link->room_for(wanted()).empty());
}

TEST_F(NetQueuesRoomTest, WithoutAFrontEndThereIsNone) {
  EXPECT_TRUE(link->room_for(wanted()).empty());
  const auto guest = connect(kOne);
  pump();
  EXPECT_TRUE(link->room_for(wanted()).empty()) << "nor without buffers";
  guest->close();
  pump();
  EXPECT_TRUE(link->room_for(wanted()).empty());
}

// The kernel has found it gone, and only says so.
TEST_F(NetQueuesRoomTest, MemoryThatIsGoneEndsTheSession) {
  const auto guest = connect(kOne);
  guest->offer_buffers(32);
  pump();
  ASSERT_FALSE(link->room_for(wanted()).empty());
  guest->cut_memory();
  link->leave_room(true);
  pump();
  EXPECT_TRUE(guest->ended());
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("cut short"), std::string::npos) << told[0];
}

TEST_F(NetQueuesRoomTest, MemoryThatGoesUnderItEndsTheSession) {
  const auto guest = connect(kOne);
  guest->offer_buffers(32);
  pump();
  ASSERT_FALSE(link->room_for(wanted()).empty());
  guest->cut_memory();
  write_cut(std::string(12'000, '?'));
  pump();
  EXPECT_TRUE(guest->ended());
}

class NetQueuesRoomPairsTest : public NetQueuesRoomTest {
 protected:
  NetQueuesRoomPairsTest() : NetQueuesRoomTest(2, 2) {}
  auto connect_with_flows() {
    auto guest = connect(kTwo, 2);
    guest->transmit(flow_frame(1, Way::kFromGuest), 1);
    guest->transmit(flow_frame(2, Way::kFromGuest), 3);
    guest->offer_buffers(32, 0);
    guest->offer_buffers(32, 2);
    pump();
    return guest;
  }
};

TEST_F(NetQueuesRoomPairsTest, ItIsAtThePairOfTheFlow) {
  const auto guest = connect_with_flows();
  EXPECT_EQ(put(links[0]->room_for(wanted(2)), stream(12'000)), 12'000U);
  // Which another moves in the meantime, but not what is there already.
  guest->transmit(flow_frame(2, Way::kFromGuest), 1);
  write_cut(std::string(12'000, '?'), 2, 0);
  EXPECT_EQ(guest->receive(2), cut(stream(12'000), 2));
  EXPECT_TRUE(guest->receive(0).empty());
}

TEST_F(NetQueuesRoomPairsTest, OthersWaitForTheQueueAndForNoOther) {
  const auto guest = connect_with_flows();
  ASSERT_EQ(put(links[0]->room_for(wanted(2)), stream(12'000)), 12'000U);
  std::atomic<bool> wrote{false};
  std::atomic<bool> done{false};
  std::thread other([&] {
    EXPECT_EQ(write({flow_frame(1, Way::kToGuest)}, 1), 0U);
    wrote = true;
    EXPECT_EQ(write({flow_frame(2, Way::kToGuest)}, 1), 0U);
    done = true;
  });
  while (!wrote) std::this_thread::yield();
  // However long that is: nothing that is right fails for being slow.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(done);
  write_cut(std::string(12'000, '?'), 2, 0);
  other.join();
  auto all = cut(stream(12'000), 2);
  all.push_back(flow_frame(2, Way::kToGuest));
  EXPECT_EQ(guest->receive(2), all);
  EXPECT_EQ(guest->receive(0), std::vector{flow_frame(1, Way::kToGuest)});
}

}  // namespace
}  // namespace sluice::link
