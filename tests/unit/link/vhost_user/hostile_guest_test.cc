// Drivers and front-ends that mean harm, through the whole link: each ends its ring or its session
// at most, and whoever comes next is served. docs/threat_model.md lists them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>

#include <atomic>
#include <filesystem>
#include <iterator>
#include <memory>
#include <thread>

#include "base/prng.h"
#include "link/vhost_user/vhost_user_back_end.h"
#include "unit/link/vhost_user/front_end.h"
#include "unit/link/vhost_user/link_fixture.h"

namespace sluice::link {
namespace {

using test::FrontEnd;
using test::PairedFrontEnds;
using virtio::Feature;
using virtio::FeatureSet;

constexpr FeatureSet kSplit{Feature::kVersion1, Feature::kMrgRxbuf};
constexpr FeatureSet kPacked{Feature::kVersion1, Feature::kMrgRxbuf, Feature::kRingPacked};
constexpr FeatureSet kSplitRich{Feature::kVersion1, Feature::kMrgRxbuf, Feature::kEventIdx,
                                Feature::kIndirectDesc};
constexpr FeatureSet kPackedRich{Feature::kVersion1, Feature::kMrgRxbuf, Feature::kEventIdx,
                                 Feature::kIndirectDesc, Feature::kRingPacked};

// The guest's memory, seen by another of its processors.
class Memory {
 public:
  explicit Memory(const FrontEnd& guest)
      : bytes_(static_cast<std::uint8_t*>(::mmap(nullptr, FrontEnd::kMemory, PROT_READ | PROT_WRITE,
                                                 MAP_SHARED, guest.memory_file(), 0)),
               FrontEnd::kMemory) {}
  ~Memory() { ::munmap(bytes_.data(), bytes_.size()); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  [[nodiscard]] MutableBytes bytes() const { return bytes_; }
  [[nodiscard]] std::vector<std::uint8_t> copy() const { return {bytes_.begin(), bytes_.end()}; }

 private:
  MutableBytes bytes_;
};

class HostileGuestTest : public testing::TestWithParam<FeatureSet> {
 protected:
  HostileGuestTest() {
    auto ends = std::make_unique<PairedFrontEnds>();
    front_ends = ends.get();
    auto made =
        VhostUserBackEnd::create(sys::real_kernel(), std::move(ends),
                                 {.device = {.mac = {}, .mtu = 1500, .queue_pairs_max = 1},
                                  .tell = [this](const std::string& line) { told.push_back(line); },
                                  .note = [](const std::string&) {}});
    EXPECT_TRUE(made);
    back_end = std::move(*made);
    link = back_end->link(0);
  }
  [[nodiscard]] bool ready() const {
    pollfd poll{.fd = link->descriptors()[0], .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, 0) == 1;
  }
  void turn() {
    frames += link->read_burst(Link::Depth::kAsExpected).frames.size();
    link->flush();
  }
  // A bounded number, as some of these give no rest.
  void pump() {
    for (int i = 0; i < 100 && ready(); ++i) turn();
  }
  [[nodiscard]] std::unique_ptr<FrontEnd> connect() {
    return std::make_unique<FrontEnd>(front_ends->connect(), [this] { pump(); });
  }
  [[nodiscard]] std::unique_ptr<FrontEnd> connect(FeatureSet features) {
    auto guest = connect();
    guest->start(features);
    return guest;
  }
  std::size_t write(std::size_t size) {
    wire::FrameBatch batch;
    std::ranges::fill(batch.add(size, {}, {}), std::uint8_t{0x5a});
    return link->write(batch);
  }
  void expect_next_is_served() {
    told.clear();
    const auto guest = connect(kSplit);
    const std::size_t before = frames;
    guest->transmit(std::string(60, 'x'));
    guest->offer_buffers(2);
    pump();
    EXPECT_EQ(frames, before + 1);
    EXPECT_EQ(write(60), 0U);
    EXPECT_EQ(guest->receive().size(), 1U);
    EXPECT_EQ(told, std::vector<std::string>{});
    guest->close();
  }

  PairedFrontEnds* front_ends = nullptr;
  std::unique_ptr<VhostUserBackEnd> back_end;
  std::unique_ptr<Link> link;  // Gone before it.
  std::size_t frames = 0;
  std::vector<std::string> told;
};

TEST_P(HostileGuestTest, KicksWithoutAReasonAreATurnAtMostAndSayNothing) {
  const auto guest = connect(GetParam());
  for (int i = 0; i < 200; ++i) {
    for (int kick = 0; kick < 50; ++kick) {
      guest->kick(0);
      guest->kick(1);
    }
    turn();
    EXPECT_FALSE(ready());
  }
  EXPECT_EQ(frames, 0U);
  EXPECT_EQ(told, std::vector<std::string>{});
  guest->close();
  expect_next_is_served();
}

TEST_P(HostileGuestTest, ADescriptorForKicksThatIsAlwaysReadableWakesNobody) {
  const auto guest = connect(GetParam());
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  ASSERT_EQ(::write(writer.get(), "kick", 4), 4);
  guest->send(VhostRequest::kSetVringKick, VhostVringFd{1, true}, {reader.get()});
  pump();
  EXPECT_FALSE(ready());
  EXPECT_FALSE(guest->ended());
  guest->close();
  expect_next_is_served();
}

// Rings of the other format than was agreed on, and buffers as without what was.
TEST_P(HostileGuestTest, ADriverThatLiesOfItsFeaturesHarmsItselfOnly) {
  for (int i = 0; i < 50; ++i) {
    const auto guest = connect(GetParam());
    const bool packed = GetParam().has(Feature::kRingPacked);
    for (std::uint16_t slot = 0; slot < FrontEnd::kRingSize; ++slot) {
      // As a split ring's driver has it, or as a packed one's: available and not used.
      guest->put_descriptor(slot % 2, slot,
                            {.address = FrontEnd::kGuestBase + 0x10'0000U + 64U * slot,
                             .length = 64,
                             .flags = packed ? FrontEnd::kWrite : std::uint16_t{7},
                             .next = packed ? slot : std::uint16_t{0x80}});
      guest->make_available(slot % 2, slot);
      guest->kick(slot % 2);
    }
    pump();
    (void)write(1500);
    EXPECT_FALSE(guest->ended());
    guest->close();
  }
  expect_next_is_served();
}

TEST_P(HostileGuestTest, AResetWithFramesUnderWayLeavesTheMemoryAlone) {
  for (const bool by_status : {false, true}) {
    const auto guest = connect(GetParam());
    const Memory memory(*guest);
    guest->transmit(std::string(60, 'x'));
    // No buffer is there: they wait, and must not go into the next ring's.
    for (int i = 0; i < 20; ++i) (void)write(9000);
    if (by_status) {
      guest->send(VhostRequest::kSetStatus, VhostNumber{0});
    } else {
      for (const std::uint32_t ring : {0U, 1U}) {
        guest->send(VhostRequest::kGetVringBase, VhostVringState{ring, 0});
        EXPECT_TRUE(guest->answer());
      }
    }
    guest->offer_buffers(16);
    const std::vector<std::uint8_t> offered = memory.copy();
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(write(1500), 1U);
      guest->kick(0);
      guest->kick(1);
      pump();
    }
    EXPECT_TRUE(std::ranges::equal(memory.bytes(), offered));
    EXPECT_FALSE(guest->ended());
    EXPECT_TRUE(link->has_room());
    guest->close();
  }
  expect_next_is_served();
}

[[nodiscard]] std::ptrdiff_t open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

TEST_P(HostileGuestTest, ResetsWithoutEndKeepNothingOpen) {
  const auto guest = connect(GetParam());
  const std::ptrdiff_t before = open_descriptors();
  for (int i = 0; i < 300; ++i) {
    guest->start_ring(0);
    guest->start_ring(1);
    guest->kick(1);
    switch (i % 3) {
      case 0: guest->send(VhostRequest::kSetStatus, VhostNumber{0}); break;
      case 1: guest->send(VhostRequest::kResetDevice); break;
      default: guest->share_memory(); break;
    }
    (void)write(600);
  }
  EXPECT_FALSE(guest->ended());
  EXPECT_LE(open_descriptors(), before);
  guest->close();
  expect_next_is_served();
}

TEST_P(HostileGuestTest, MemoryThatIsCutShortEndsTheSession) {
  for (const bool under_a_write : {false, true}) {
    const auto guest = connect(GetParam());
    guest->cut_memory();
    if (under_a_write) (void)write(1500);
    guest->kick(1);
    pump();
    EXPECT_TRUE(guest->ended());
    expect_next_is_served();
  }
}

// A processor of the guest that writes whatever it likes, mostly what could be.
class Scribbler {
 public:
  Scribbler(const FrontEnd& guest, bool packed)
      : memory_(guest), packed_(packed), thread_([this] { run(); }) {}
  ~Scribbler() {
    done_ = true;
    thread_.join();
  }

 private:
  // As test::FrontEnd has them.
  static constexpr std::size_t kRingSpace = 0x10000;
  static constexpr std::size_t kAvailable = 0x4000;
  static constexpr std::size_t kUsed = 0x8000;

  void run() {
    while (!done_) {
      const std::size_t ring = draw(2) * kRingSpace;
      const std::size_t slot = draw(FrontEnd::kRingSize);
      const std::uint64_t address =
          draw(32) == 0 ? prng_.next() : FrontEnd::kGuestBase + draw(FrontEnd::kMemory);
      const std::uint64_t length = draw(32) == 0 ? draw(UINT32_MAX) : 16 * draw(256);
      const std::uint64_t flags = draw(8);
      put(ring + 16 * slot, address);
      put(ring + 16 * slot + 8,
          length | (packed_ ? (flags | draw(2) << 7 | draw(2) << 15) << 48
                            : flags << 32 | draw(FrontEnd::kRingSize + 1) << 48));
      // Its index, entries and events, and what is ours to write.
      put(ring + kAvailable + 8 * draw(18), prng_.next() & 0x003f'003f'003f'003f);
      if (draw(16) == 0) put(ring + kUsed + 8 * draw(66), prng_.next());
    }
  }
  void put(std::size_t at, std::uint64_t value) {
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(memory_.bytes().data() + at), value,
                     __ATOMIC_RELAXED);
  }
  std::uint64_t draw(std::uint64_t bound) { return prng_.next() % bound; }

  Memory memory_;
  bool packed_;
  Prng prng_{1};
  std::atomic<bool> done_ = false;
  std::thread thread_;  // Last: it uses all of these.
};

TEST_P(HostileGuestTest, AGuestThatWritesEverywhereAllTheTimeHarmsItselfOnly) {
  const auto guest = connect(GetParam());
  {
    const Scribbler scribbler(*guest, GetParam().has(Feature::kRingPacked));
    for (int round = 0; round < 100; ++round) {
      for (const std::uint32_t ring : {0U, 1U}) {
        guest->send(VhostRequest::kGetVringBase, VhostVringState{ring, 0});
        (void)guest->answer();
        guest->resume_ring(ring, GetParam().has(Feature::kRingPacked) ? 0x8000 : 0);
      }
      for (int i = 0; i < 10; ++i) {
        guest->kick(0);
        guest->kick(1);
        (void)write(60);
        (void)write(20'000);
        turn();
      }
    }
  }
  EXPECT_FALSE(guest->ended());
  guest->close();
  pump();
  expect_next_is_served();
}

TEST_P(HostileGuestTest, MemoryThatIsCutShortUnderRoomEndsTheSession) {
  for (const bool is_told : {false, true}) {
    FeatureSet features = GetParam();
    features.add(Feature::kGuestCsum);
    const auto guest = connect(features);
    if (!GetParam().has(Feature::kRingPacked)) guest->offer_buffers(32);
    pump();
    const auto room = link->room_for({.flow = {}, .headers = 54, .payload = 6000, .bytes = 12'000});
    EXPECT_EQ(room.empty(), GetParam().has(Feature::kRingPacked));
    guest->cut_memory();
    if (is_told) {
      link->leave_room(true);
    } else {
      for (const MutableBytes piece : room) std::ranges::fill(piece, std::uint8_t{1});
      link->leave_room(false);
    }
    guest->kick(1);
    pump();
    EXPECT_TRUE(guest->ended());
    expect_next_is_served();
  }
}

std::string name_of(const testing::TestParamInfo<FeatureSet>& one) {
  const std::string format = one.param.has(Feature::kRingPacked) ? "Packed" : "Split";
  return format + (one.param.has(Feature::kEventIdx) ? "EventIndirect" : "");
}
INSTANTIATE_TEST_SUITE_P(Formats, HostileGuestTest,
                         testing::Values(kSplit, kSplitRich, kPacked, kPackedRich), name_of);

}  // namespace
}  // namespace sluice::link
