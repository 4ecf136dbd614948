// A session's answers and effects, over a device that notes what it is asked.
#include "link/vhost_user/session.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace sluice::link {
namespace {

using Lines = std::vector<std::string>;

class NotingDevice final : public VhostDevice {
 public:
  VhostDone set_table(std::span<const VhostRegion> regions, std::vector<UniqueFd> files) override {
    note("table " + std::to_string(regions.size()) + " " + std::to_string(files.size()));
    return answer();
  }
  VhostDone add_region(const VhostRegion&, UniqueFd file) override {
    note(file.valid() ? "add" : "add nothing");
    return answer();
  }
  VhostDone remove_region(const VhostRegion&) override {
    note("remove");
    return answer();
  }
  VhostDone set_log(const VhostLog&, UniqueFd file) override {
    note(file.valid() ? "log" : "log nothing");
    return answer();
  }
  void set_features(std::uint64_t) override { note("features"); }
  std::expected<UniqueFd, VhostRefusal> make_inflight(VhostInflight& inflight) override {
    inflight.size = 4096;
    if (refuses) return std::unexpected(VhostRefusal{"it will not"});
    return UniqueFd(::open("/dev/null", O_RDWR));
  }
  VhostDone set_inflight(const VhostInflight&, UniqueFd file) override {
    note(file.valid() ? "inflight" : "inflight nothing");
    return answer();
  }
  void forget_inflight() override { inflight_is_known = false; }
  void clear_inflight(std::size_t index) override { cleared = index; }
  VhostDone start_ring(std::size_t index, const VhostRing& ring) override {
    note("start " + std::to_string(index) + " at " + std::to_string(ring.base));
    return answer();
  }
  std::uint32_t stop_ring(std::size_t index) override {
    note("stop " + std::to_string(index));
    return stands_at;
  }
  void ring_changed(std::size_t index) override { note("changed " + std::to_string(index)); }

  Lines take() { return std::exchange(lines, {}); }

  Lines lines;
  bool refuses = false;
  bool inflight_is_known = true;
  std::optional<std::size_t> cleared;
  std::uint32_t stands_at = 77;

 private:
  void note(std::string line) { lines.push_back(std::move(line)); }
  [[nodiscard]] VhostDone answer() const {
    if (refuses) return std::unexpected(VhostRefusal{"it will not"});
    return {};
  }
};

constexpr std::uint64_t kFeatures = 0x1'0000'0021;
constexpr std::array<std::uint8_t, 12> kConfig{2, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0xdc, 5};

class VhostSessionTest : public ::testing::Test {
 protected:
  using Answer = std::expected<std::optional<VhostMessage>, VhostRefusal>;

  Answer send(VhostRequest request, const VhostPayload& payload = {}, std::size_t descriptors = 0,
              bool need_reply = false) {
    std::vector<UniqueFd> fds;
    for (std::size_t i = 0; i < descriptors; ++i) fds.emplace_back(::open("/dev/null", O_RDWR));
    return session.on_message({request, need_reply, payload}, std::move(fds));
  }
  // Has its effect, and no answer.
  void tell(VhostRequest request, const VhostPayload& payload = {}, std::size_t descriptors = 0) {
    const Answer answer = send(request, payload, descriptors);
    ASSERT_TRUE(answer) << answer.error().why;
    EXPECT_FALSE(*answer);
  }
  std::uint64_t ask(VhostRequest request) {
    const Answer answer = send(request);
    EXPECT_TRUE(answer && *answer);
    return std::get<VhostNumber>((*answer)->payload).value;
  }
  void agree(std::uint64_t protocol = VhostProtocol::kReplyAck) {
    tell(VhostRequest::kSetProtocolFeatures, VhostNumber{protocol});
    tell(VhostRequest::kSetFeatures, VhostNumber{kFeatures | kVhostProtocolFeatures});
  }
  void set_up(std::uint32_t ring, std::uint32_t base = 0) {
    tell(VhostRequest::kSetVringNum, VhostVringState{ring, 256});
    tell(VhostRequest::kSetVringBase, VhostVringState{ring, base});
    tell(VhostRequest::kSetVringAddr, VhostVringAddress{.index = ring, .descriptors = 1});
    tell(VhostRequest::kSetVringKick, VhostVringFd{static_cast<std::uint8_t>(ring), true}, 1);
  }

  NotingDevice device;
  VhostSession session{{.features = kFeatures, .pairs = 2, .regions_max = 7, .config = kConfig},
                       device};
};

TEST_F(VhostSessionTest, TheTransportsFeaturesAreAddedToTheDevices) {
  EXPECT_EQ(ask(VhostRequest::kGetFeatures), kFeatures | kVhostLogAll | kVhostProtocolFeatures);
  EXPECT_EQ(ask(VhostRequest::kGetMaxMemSlots), 7U);
}

TEST_F(VhostSessionTest, FeaturesThatAreNotOfferedEndIt) {
  EXPECT_FALSE(send(VhostRequest::kSetFeatures, VhostNumber{kFeatures | 2}));
  EXPECT_FALSE(send(VhostRequest::kSetProtocolFeatures, VhostNumber{1ULL << 14}));
  EXPECT_EQ(device.take(), Lines{});
}

TEST_F(VhostSessionTest, OnlyAnOwnerIsOfferedTheConfiguration) {
  const std::uint64_t early = ask(VhostRequest::kGetProtocolFeatures);
  EXPECT_EQ(early & VhostProtocol::kConfig, 0U);
  EXPECT_NE(early & VhostProtocol::kMq, 0U);
  tell(VhostRequest::kSetOwner);
  // QEMU asks again for its second pair.
  EXPECT_EQ(ask(VhostRequest::kGetProtocolFeatures), early);
  EXPECT_EQ(ask(VhostRequest::kGetQueueNum), 2U);
}

TEST_F(VhostSessionTest, WhoTakesTheConfigurationCountsQueues) {
  tell(VhostRequest::kSetOwner);
  EXPECT_NE(ask(VhostRequest::kGetProtocolFeatures) & VhostProtocol::kConfig, 0U);
  EXPECT_EQ(ask(VhostRequest::kGetProtocolFeatures) & (1U << 14), 0U) << "in-band notifications";
  tell(VhostRequest::kSetProtocolFeatures, VhostNumber{VhostProtocol::kConfig});
  EXPECT_EQ(ask(VhostRequest::kGetQueueNum), 5U);
}

TEST_F(VhostSessionTest, AnAcknowledgementIsSentWhereItIsAgreedOnAndWanted) {
  EXPECT_FALSE(*send(VhostRequest::kSetOwner, {}, 0, true));
  // The very message that agrees on it, too.
  const Answer first =
      send(VhostRequest::kSetProtocolFeatures, VhostNumber{VhostProtocol::kReplyAck}, 0, true);
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->payload, VhostPayload(VhostNumber{0}));
  EXPECT_FALSE(*send(VhostRequest::kSetOwner, {}, 0, false));
  device.refuses = true;
  const Answer refused = send(VhostRequest::kAddMemReg, VhostRegion{}, 1, true);
  ASSERT_TRUE(refused && *refused);
  EXPECT_EQ((*refused)->payload, VhostPayload(VhostNumber{1}));
  EXPECT_EQ((*refused)->request, VhostRequest::kAddMemReg);
  EXPECT_EQ(session.refused(), "it will not");
  EXPECT_FALSE(send(VhostRequest::kAddMemReg, VhostRegion{}, 1, false)) << "nobody is told";
}

TEST_F(VhostSessionTest, ARingBeginsWithItsKick) {
  agree();
  set_up(1, 5);
  EXPECT_EQ(device.take(), (Lines{"features", "start 1 at 5"}));
  EXPECT_FALSE(session.ring(1).enabled);
  tell(VhostRequest::kSetVringEnable, VhostVringState{1, 1});
  EXPECT_TRUE(session.ring(1).enabled);
  EXPECT_EQ(device.take(), Lines{"changed 1"});
}

TEST_F(VhostSessionTest, WithoutProtocolFeaturesARingIsEnabledAtOnce) {
  tell(VhostRequest::kSetFeatures, VhostNumber{kFeatures});
  set_up(0);
  EXPECT_TRUE(session.ring(0).enabled);
}

TEST_F(VhostSessionTest, ARingThatLacksSomethingDoesNotBegin) {
  const VhostVringFd kick{0, true};
  EXPECT_FALSE(send(VhostRequest::kSetVringKick, kick, 1)) << "no features";
  agree();
  EXPECT_FALSE(send(VhostRequest::kSetVringKick, kick, 1)) << "no size";
  tell(VhostRequest::kSetVringNum, VhostVringState{0, 256});
  EXPECT_FALSE(send(VhostRequest::kSetVringKick, kick, 1)) << "no address";
  tell(VhostRequest::kSetVringAddr, VhostVringAddress{});
  EXPECT_FALSE(send(VhostRequest::kSetVringKick, VhostVringFd{0, false})) << "no kick";
  tell(VhostRequest::kSetVringKick, kick, 1);
  EXPECT_TRUE(session.ring(0).started);
}

TEST_F(VhostSessionTest, AskingForItsPlaceStopsARing) {
  agree();
  set_up(1);
  device.take();
  const Answer answer = send(VhostRequest::kGetVringBase, VhostVringState{1, 0});
  ASSERT_TRUE(answer && *answer);
  EXPECT_EQ((*answer)->payload, VhostPayload(VhostVringState{1, 77}));
  EXPECT_EQ(device.take(), Lines{"stop 1"});
  // Stopped, it stands where it stood, and goes on from there.
  EXPECT_EQ((*send(VhostRequest::kGetVringBase, VhostVringState{1, 0}))->payload,
            VhostPayload(VhostVringState{1, 77}));
  tell(VhostRequest::kSetVringKick, VhostVringFd{1, true}, 1);
  EXPECT_EQ(device.take(), Lines{"start 1 at 77"});
}

TEST_F(VhostSessionTest, RingsThatAreNotThereAreRefused) {
  agree();
  for (const auto request : {VhostRequest::kSetVringNum, VhostRequest::kSetVringBase,
                             VhostRequest::kGetVringBase, VhostRequest::kSetVringEnable}) {
    EXPECT_FALSE(send(request, VhostVringState{5, 1})) << to_string(request);
    EXPECT_FALSE(send(request, VhostVringState{~0U, 1})) << to_string(request);
  }
  EXPECT_FALSE(send(VhostRequest::kSetVringAddr, VhostVringAddress{.index = 5}));
  EXPECT_FALSE(send(VhostRequest::kSetVringKick, VhostVringFd{5, true}, 1));
  EXPECT_FALSE(send(VhostRequest::kSetVringCall, VhostVringFd{255, true}, 1));
  EXPECT_FALSE(send(VhostRequest::kSetVringNum, VhostVringState{0, 0}));
  EXPECT_FALSE(send(VhostRequest::kSetVringNum, VhostVringState{0, 65'536}));
}

TEST_F(VhostSessionTest, MemoryChangesWhileNoRingRuns) {
  agree();
  set_up(0);
  set_up(1);
  device.take();
  tell(VhostRequest::kSetMemTable, VhostTable{.count = 2}, 2);
  EXPECT_EQ(device.take(),
            (Lines{"stop 0", "stop 1", "table 2 2", "start 0 at 77", "start 1 at 77"}));
  tell(VhostRequest::kAddMemReg, VhostRegion{}, 1);
  EXPECT_EQ(device.take(), (Lines{"stop 0", "stop 1", "add", "start 0 at 77", "start 1 at 77"}));
  tell(VhostRequest::kRemMemReg, VhostRegion{});
  EXPECT_EQ(device.take(), (Lines{"stop 0", "stop 1", "remove", "start 0 at 77", "start 1 at 77"}));
}

TEST_F(VhostSessionTest, ARingWithoutItsMemoryStaysStopped) {
  agree();
  set_up(0);
  device.take();
  device.refuses = true;
  EXPECT_FALSE(send(VhostRequest::kRemMemReg, VhostRegion{}));
  EXPECT_FALSE(session.ring(0).started);
}

TEST_F(VhostSessionTest, LoggingBeginsUnderRingsThatRun) {
  agree();
  set_up(0);
  tell(VhostRequest::kSetVringEnable, VhostVringState{0, 1});
  device.take();
  const Answer log = send(VhostRequest::kSetLogBase, VhostLog{4096, 0}, 1);
  ASSERT_TRUE(log && *log) << "QEMU waits for an answer";
  tell(VhostRequest::kSetFeatures, VhostNumber{kFeatures | kVhostProtocolFeatures | kVhostLogAll});
  EXPECT_EQ(device.take(), (Lines{"log", "features"}));
  tell(VhostRequest::kSetVringAddr, VhostVringAddress{.index = 0, .flags = 1});
  EXPECT_EQ(device.take(), (Lines{"stop 0", "start 0 at 77"}));
}

TEST_F(VhostSessionTest, OtherFeaturesAreAnotherRing) {
  agree();
  set_up(0);
  device.take();
  tell(VhostRequest::kSetFeatures, VhostNumber{kVhostProtocolFeatures | 1});
  EXPECT_EQ(device.take(), (Lines{"stop 0", "features", "start 0 at 77"}));
}

// User Mode Linux disables its rings and frees them, and sets up others later.
TEST_F(VhostSessionTest, ADisabledRingIsSetUpAnewWithoutBeingTouched) {
  agree();
  set_up(0, 3);
  tell(VhostRequest::kSetVringEnable, VhostVringState{0, 1});
  tell(VhostRequest::kSetVringEnable, VhostVringState{0, 0});
  device.take();
  set_up(0, 0);
  EXPECT_EQ(device.take(), (Lines{"stop 0", "start 0 at 0"}));
}

TEST_F(VhostSessionTest, AStatusOfZeroResetsTheDevice) {
  agree();
  tell(VhostRequest::kSetStatus, VhostNumber{0xf});
  EXPECT_EQ(ask(VhostRequest::kGetStatus), 0xfU);
  set_up(0);
  device.take();
  tell(VhostRequest::kSetStatus, VhostNumber{0});
  EXPECT_EQ(device.take(), Lines{"stop 0"});
  EXPECT_EQ(ask(VhostRequest::kGetStatus), 0U);
  EXPECT_FALSE(send(VhostRequest::kSetVringKick, VhostVringFd{0, true}, 1)) << "it has no size";
  EXPECT_FALSE(send(VhostRequest::kSetStatus, VhostNumber{256}));
}

TEST_F(VhostSessionTest, WhereARingStoodIsToldBehindAReset) {
  agree();
  set_up(1);
  tell(VhostRequest::kSetStatus, VhostNumber{0});
  EXPECT_EQ((*send(VhostRequest::kGetVringBase, VhostVringState{1, 0}))->payload,
            VhostPayload(VhostVringState{1, 77}));
  device.take();
  // It goes on from there where that is said, and nowhere else.
  set_up(1, 77);
  EXPECT_EQ(device.take(), Lines{"start 1 at 77"});
  tell(VhostRequest::kResetDevice);
  EXPECT_EQ(device.take(), Lines{"stop 1"});
  tell(VhostRequest::kSetVringNum, VhostVringState{1, 256});
  tell(VhostRequest::kSetVringAddr, VhostVringAddress{.index = 1});
  tell(VhostRequest::kSetVringKick, VhostVringFd{1, true}, 1);
  EXPECT_EQ(device.take(), Lines{"start 1 at 0"});
}

TEST_F(VhostSessionTest, TheConfigurationIsReadWithinItsSpaceAndZeroBehindIt) {
  const auto read = [&](std::uint32_t offset, std::uint32_t size) {
    const Answer answer =
        send(VhostRequest::kGetConfig, VhostConfig{.offset = offset, .size = size});
    return std::get<VhostConfig>((*answer)->payload);
  };
  EXPECT_EQ(read(0, 12).bytes[5], 1);
  EXPECT_EQ(read(10, 2).bytes[0], 0xdc);
  EXPECT_EQ(read(11, 4).bytes[0], 5);
  EXPECT_EQ(read(11, 4).bytes[1], 0);
  EXPECT_EQ(read(~0U, 256).bytes[0], 0);
  EXPECT_EQ(read(0, 256).size, 256U);
}

TEST_F(VhostSessionTest, WhatNeedsNothingOfUsIsAcknowledged) {
  agree();
  EXPECT_TRUE(*send(VhostRequest::kSendRarp, VhostNumber{1}, 0, true));
  EXPECT_TRUE(*send(VhostRequest::kNetSetMtu, VhostNumber{1500}, 0, true));
  EXPECT_FALSE(send(VhostRequest::kNetSetMtu, VhostNumber{67}));
  EXPECT_FALSE(send(VhostRequest::kNetSetMtu, VhostNumber{65'536}));
  tell(VhostRequest::kSetBackendReqFd, {}, 1);
  tell(VhostRequest::kSetLogFd, {}, 1);
  tell(VhostRequest::kSetVringErr, VhostVringFd{0, true}, 1);
  tell(VhostRequest::kSetConfig, VhostConfig{.size = 1});
}

TEST_F(VhostSessionTest, ItsEndStopsWhatRuns) {
  agree();
  set_up(0);
  set_up(1);
  device.take();
  session.end();
  EXPECT_EQ(device.take(), (Lines{"stop 0", "stop 1"}));
  session.end();
  EXPECT_EQ(device.take(), Lines{});
}

TEST_F(VhostSessionTest, WhatIsInFlightIsNotedInAFileThatItGives) {
  const VhostInflight asked{.queues = 2, .queue_size = 256};
  const Answer answer = send(VhostRequest::kGetInflightFd, asked);
  ASSERT_TRUE(answer && *answer);
  VhostInflight given = asked;
  given.size = 4096;
  EXPECT_EQ((*answer)->payload, VhostPayload(given));
  EXPECT_TRUE(session.take_descriptor().valid());
  EXPECT_FALSE(session.take_descriptor().valid()) << "once";
  tell(VhostRequest::kSetInflightFd, given, 1);
  EXPECT_EQ(device.take(), Lines{"inflight"});
}

TEST_F(VhostSessionTest, WhatIsInFlightIsOfQueuesThatThereAre) {
  for (const VhostInflight wrong :
       {VhostInflight{.queues = 0, .queue_size = 256}, VhostInflight{.queues = 2, .queue_size = 0},
        VhostInflight{.queues = 99, .queue_size = 256},
        VhostInflight{.queues = 2, .queue_size = 0xffff}}) {
    EXPECT_FALSE(send(VhostRequest::kGetInflightFd, wrong));
    EXPECT_FALSE(send(VhostRequest::kSetInflightFd, wrong, 1));
  }
  EXPECT_EQ(device.take(), Lines{});
}

// The front-end knows where it stands, and may begin it elsewhere.
TEST_F(VhostSessionTest, ARingWhoseBaseIsToldHasNothingInFlight) {
  (void)send(VhostRequest::kGetVringBase, VhostVringState{1, 0});
  EXPECT_EQ(device.cleared, 1U);
  EXPECT_TRUE(device.inflight_is_known);
  tell(VhostRequest::kSetStatus, VhostNumber{0});
  EXPECT_FALSE(device.inflight_is_known);
}

}  // namespace
}  // namespace sluice::link
