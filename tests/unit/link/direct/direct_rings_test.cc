// The network device with rings of each form that a driver may choose, one driver after another.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

#include "link/direct/direct_net.h"
#include "unit/virtio/mock_drivers.h"

namespace sluice::link {
namespace {

using virtio::Feature;
using virtio::FeatureSet;
using virtio::test::MockDriver;

constexpr std::uint64_t kGuestBase = 0x4000'0000;
constexpr std::size_t kPerRing = 1024 * 1024;
constexpr std::size_t kMemory = 2 * kPerRing;
constexpr std::size_t kHeader = wire::VirtioNetHeader::kSize;
constexpr std::uint16_t kRingSize = 16;
constexpr std::size_t kFrame = 60;

class FakeInterrupt final : public virtio::MmioInterrupt {
 public:
  void used() override {}
  void config_changed() override {}
  void needs_reset() override {}
  [[nodiscard]] int fd() const override { return fd_.get(); }
  // How often it was raised, since this was last asked.
  [[nodiscard]] std::uint64_t raised() const {
    std::uint64_t count = 0;
    return ::read(fd_.get(), &count, sizeof count) == sizeof count ? count : 0;
  }

 private:
  UniqueFd fd_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
};

class DirectRings : public ::testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    file_ = UniqueFd(::memfd_create("guest", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(file_.get(), kMemory), 0);
    void* const mapped =
        ::mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    ASSERT_NE(mapped, MAP_FAILED);
    memory_ = MutableBytes(static_cast<std::uint8_t*>(mapped), kMemory);
    auto made = DirectNet::create(
        sys::real_kernel(), {.device = {.mac = {}, .mtu = 1500, .queue_pairs_max = 1},
                             .regions = {{.guest_address = kGuestBase, .size = kMemory}},
                             .memory_file = UniqueFd(::dup(file_.get())),
                             .tell = [this](const std::string& line) { told.push_back(line); }});
    ASSERT_TRUE(made);
    net_ = std::move(*made);
    net_->attach(interrupt);
    link_ = net_->link(0);
  }
  void TearDown() override {
    drivers_ = {};
    ::munmap(memory_.data(), memory_.size());
  }

  [[nodiscard]] static virtio::RingFeatures ring_features() {
    return {.packed = (GetParam() & 1) != 0,
            .event_index = (GetParam() & 2) != 0,
            .indirect = (GetParam() & 4) != 0};
  }
  [[nodiscard]] bool start() {
    const virtio::RingFeatures form = ring_features();
    FeatureSet features{Feature::kVersion1, Feature::kMrgRxbuf};
    if (form.packed) features.add(Feature::kRingPacked);
    if (form.event_index) features.add(Feature::kEventIdx);
    if (form.indirect) features.add(Feature::kIndirectDesc);
    EXPECT_TRUE(net_->check(features));
    std::ranges::fill(memory_, std::uint8_t{0});
    std::array<virtio::MmioQueueSetup, 3> queues{};
    for (std::size_t i = 0; i < drivers_.size(); ++i) {
      const std::uint64_t base = kGuestBase + i * kPerRing;
      drivers_[i] =
          virtio::test::make_mock_driver({.size = kRingSize,
                                          .features = form,
                                          .base = form.packed ? virtio::kPackedStart : 0,
                                          .data_bytes = kPerRing / 2,
                                          .guest_base = base,
                                          .storage = memory_.subspan(i * kPerRing, kPerRing)});
      const auto address = [&](const std::uint8_t* area) {
        return base + static_cast<std::uint64_t>(area - drivers_[i]->bytes().data());
      };
      queues[i] = {.size = kRingSize,
                   .ready = true,
                   .descriptors = address(drivers_[i]->descriptor(0)),
                   .driver = address(drivers_[i]->driver_area()),
                   .device = address(drivers_[i]->device_area())};
    }
    bool answer = false;
    by_turns([&] { answer = net_->start(features, queues); });
    return answer;
  }
  void reset() {
    by_turns([&] { net_->reset(); });
  }
  void transmit(std::uint8_t with) {
    std::vector<std::uint8_t> bytes(kHeader + kFrame, with);
    std::fill_n(bytes.begin(), kHeader, std::uint8_t{0});
    ASSERT_TRUE(drivers_[1]->offer({drivers_[1]->readable(bytes)}, form()));
    drivers_[1]->show();
    const std::uint64_t one = 1;
    if (drivers_[1]->kick_wanted()) {
      ASSERT_EQ(::write(net_->kick_fd(1), &one, sizeof one), 8);
    }
    while (ready()) turn();
    EXPECT_TRUE(drivers_[1]->take_used());
  }
  // The byte that the frame consists of, as it arrives in the guest.
  [[nodiscard]] std::optional<std::uint8_t> receive(std::uint8_t with) {
    const virtio::test::MockBuffer buffer = drivers_[0]->writable(2048);
    EXPECT_TRUE(drivers_[0]->offer({buffer}, form()));
    drivers_[0]->show();
    wire::FrameBatch batch;
    std::ranges::fill(batch.add(kFrame, {}, {}), with);
    EXPECT_EQ(link_->write(batch), 0U);
    const auto used = drivers_[0]->take_used();
    if (!used || used->written != kHeader + kFrame) return {};
    return drivers_[0]->at(buffer)[kHeader + kFrame - 1];
  }

  FakeInterrupt interrupt;
  std::vector<std::uint8_t> seen;  // A byte of each frame.
  std::vector<std::string> told;

 private:
  [[nodiscard]] static MockDriver::Form form() {
    return ring_features().indirect ? MockDriver::Form::kIndirect : MockDriver::Form::kDirect;
  }
  [[nodiscard]] bool ready() const {
    pollfd poll{.fd = link_->descriptors()[0], .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, 0) == 1;
  }
  void turn() {
    for (const wire::FrameIn& frame : link_->read_burst(Link::Depth::kAsExpected).frames) {
      EXPECT_EQ(frame.bytes.size(), kFrame);
      seen.push_back(frame.bytes.back());
    }
    link_->flush();
  }
  template <typename Ask>
  void by_turns(const Ask& ask) {
    std::atomic<bool> done = false;
    std::thread vcpu([&] {
      ask();
      done = true;
    });
    while (!done) {
      if (ready()) turn();
    }
    vcpu.join();
  }

  UniqueFd file_;
  MutableBytes memory_;
  std::unique_ptr<DirectNet> net_;
  std::unique_ptr<Link> link_;
  std::array<std::unique_ptr<MockDriver>, 2> drivers_;
};

// More frames than the ring has places, so that it goes round, and a driver after that one.
TEST_P(DirectRings, CarryFramesBothWaysForOneDriverAfterAnother) {
  for (int driver = 0; driver < 3; ++driver) {
    ASSERT_TRUE(start());
    seen.clear();
    std::vector<std::uint8_t> sent;
    for (std::uint8_t i = 0; i < 5 * kRingSize / 2; ++i) {
      sent.push_back(i);
      transmit(i);
      EXPECT_EQ(receive(i), i);
    }
    EXPECT_EQ(seen, sent);
    EXPECT_GT(interrupt.raised(), 0U);
    reset();
  }
  EXPECT_EQ(told, std::vector<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(Forms, DirectRings, ::testing::Range(0U, 8U));

}  // namespace
}  // namespace sluice::link
