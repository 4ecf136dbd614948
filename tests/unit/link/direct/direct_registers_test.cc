// The network device as a driver has it: by registers, with queues in memory that it shares, while
// workers serve it in threads of their own.
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

#include "link/direct/direct_net.h"
#include "unit/link/vhost_user/shared_driver.h"
#include "virtio/mmio/mmio_transport.h"

namespace sluice::link {
namespace {

using virtio::Feature;
using virtio::FeatureSet;
using virtio::MmioQueueSetup;

constexpr FeatureSet kPlain{Feature::kVersion1, Feature::kMrgRxbuf};
constexpr FeatureSet kPairs{Feature::kVersion1, Feature::kMrgRxbuf, Feature::kCtrlVq, Feature::kMq};
constexpr std::uint32_t kRuns = 15;
constexpr std::uint32_t kRunsNoMore = 15 | 64;

class Interrupt final : public virtio::MmioInterrupt {
 public:
  void used() override {
    status.set_used();
    raise();
  }
  void config_changed() override {
    status.change_config();
    raise();
  }
  void needs_reset() override {
    status.require_reset();
    raise();
  }
  [[nodiscard]] int fd() const override { return fd_.get(); }

  virtio::InterruptStatus status;

 private:
  void raise() const {
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(fd_.get(), &one, sizeof one), 8);
  }

  UniqueFd fd_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
};

class Driver : public test::SharedDriver {
 public:
  [[nodiscard]] MmioQueueSetup setup_of(std::size_t ring) const {
    const Places places = places_of(ring);
    return {.size = kRingSize,
            .ready = true,
            .descriptors = kGuestBase + places.descriptors,
            .driver = kGuestBase + places.available,
            .device = kGuestBase + places.used};
  }
  // The buffers of a receive queue hold somebody else's bytes.
  void reuse_buffers(std::size_t ring) { std::memset(buffers(ring), kOthers, kBuffers); }
  [[nodiscard]] bool buffers_are_untouched(std::size_t ring) const {
    return std::all_of(buffers(ring), buffers(ring) + kBuffers,
                       [](std::uint8_t byte) { return byte == kOthers; });
  }

 private:
  static constexpr std::size_t kBuffers = kRingSize * kBuffer;
  static constexpr std::uint8_t kOthers = 0xa5;

  [[nodiscard]] std::uint8_t* buffers(std::size_t ring) const {
    return bytes_ + kData + ring * kBuffers;
  }
};

class DirectRegisters : public ::testing::Test {
 protected:
  void TearDown() override { stop(); }

  // What workers read they write back.
  void begin(std::uint16_t pairs, std::size_t workers) {
    DirectNetPlan plan{.device = {.mac = {}, .mtu = 1500, .queue_pairs_max = pairs},
                       .workers = workers,
                       .regions = {{.guest_address = Driver::kGuestBase, .size = Driver::kMemory}},
                       .memory_file = UniqueFd(::dup(driver.memory_file())),
                       .tell = [](const std::string&) {}};
    auto made = DirectNet::create(sys::real_kernel(), std::move(plan));
    ASSERT_TRUE(made);
    net_ = std::move(*made);
    net_->attach(interrupt);
    transport_ = std::make_unique<virtio::MmioTransport>(*net_, interrupt.status);
    for (std::size_t i = 0; i < net_->workers(); ++i) {
      threads_.emplace_back([this, i] { work(i); });
    }
  }
  void stop() {
    if (net_ != nullptr) net_->shut_down();
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  [[nodiscard]] std::uint32_t read(std::uint64_t offset) const {
    std::array<std::uint8_t, 4> bytes{};
    transport_->read(offset, bytes);
    return bytes[0] | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16 |
           std::uint32_t{bytes[3]} << 24;
  }
  void write(std::uint64_t offset, std::uint64_t value) {
    std::array<std::uint8_t, 4> bytes{};
    for (unsigned i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
    }
    transport_->write(offset, bytes);
  }
  // A device as after a reset, until its features are settled.
  void negotiate(FeatureSet features) {
    driver.accept(features);
    write(0x70, 1);
    write(0x70, 3);
    for (const unsigned half : {0U, 1U}) {
      write(0x24, half);
      write(0x20, features.bits() >> (32 * half));
    }
    write(0x70, 11);
    ASSERT_EQ(read(0x70), 11U);
  }
  void set_up(std::size_t ring, const MmioQueueSetup& queue) {
    driver.begin_ring(ring, UniqueFd(::dup(net_->kick_fd(ring))), UniqueFd(::dup(interrupt.fd())));
    write(0x30, ring);
    write(0x38, queue.size);
    write(0x80, queue.descriptors);
    write(0x84, queue.descriptors >> 32);
    write(0x90, queue.driver);
    write(0x94, queue.driver >> 32);
    write(0xa0, queue.device);
    write(0xa4, queue.device >> 32);
    write(0x44, queue.ready ? 1 : 0);
  }
  // The status then.
  [[nodiscard]] std::uint32_t bring_up(FeatureSet features, std::size_t rings) {
    negotiate(features);
    for (std::size_t i = 0; i < rings; ++i) set_up(i, driver.setup_of(i));
    write(0x70, kRuns);
    return read(0x70);
  }
  void reset() {
    write(0x70, 0);
    ASSERT_EQ(read(0x70), 0U);
  }
  // Until `count` frames have come back by these rings, or for a time that is long enough.
  [[nodiscard]] std::vector<std::string> receive(std::size_t count,
                                                 std::initializer_list<std::size_t> rings) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    std::vector<std::string> frames;
    while (frames.size() < count && std::chrono::steady_clock::now() < until) {
      for (const std::size_t ring : rings) std::ranges::move(driver.receive(ring), back(frames));
      std::this_thread::yield();
    }
    return frames;
  }
  [[nodiscard]] static std::string frame(std::size_t number) {
    std::string bytes = "frame " + std::to_string(number);
    bytes.resize(60, '.');
    return bytes;
  }
  void expect_served() {
    ASSERT_EQ(bring_up(kPlain, 2), kRuns);
    driver.offer_buffers(1);
    driver.transmit(frame(7));
    EXPECT_EQ(receive(1, {0}), std::vector{frame(7)});
    reset();
  }

  Interrupt interrupt;
  Driver driver;
  // Workers write frames of their own all the time.
  std::atomic<bool> floods = false;

 private:
  static std::back_insert_iterator<std::vector<std::string>> back(std::vector<std::string>& into) {
    return std::back_inserter(into);
  }
  void work(std::size_t worker) {
    const auto link = net_->link(worker);
    while (!over_) {
      pollfd poll{.fd = link->descriptors()[0], .events = POLLIN, .revents = 0};
      wire::FrameBatch batch;
      if (::poll(&poll, 1, floods ? 0 : 10) == 1) {
        for (const wire::FrameIn& frame : link->read_burst(Link::Depth::kAsExpected).frames) {
          std::ranges::copy(frame.bytes, batch.add(frame.bytes.size(), {}, {}).begin());
        }
        link->flush();
      }
      if (floods) std::ranges::fill(batch.add(60, {}, {}), std::uint8_t{'w'});
      (void)link->write(batch);
    }
  }

  std::unique_ptr<DirectNet> net_;
  std::unique_ptr<virtio::MmioTransport> transport_;
  std::atomic<bool> over_ = false;
  std::vector<std::thread> threads_;
};

TEST_F(DirectRegisters, FramesGoBothWays) {
  begin(1, 1);
  ASSERT_EQ(bring_up(kPlain, 2), kRuns);
  driver.offer_buffers(32);
  std::vector<std::string> sent;
  for (std::size_t i = 0; i < 32; ++i) {
    sent.push_back(frame(i));
    driver.transmit(sent.back());
  }
  EXPECT_EQ(receive(32, {0}), sent);
  EXPECT_GT(driver.calls(0), 0U);
}

TEST_F(DirectRegisters, TwoWorkersServeTheirPairs) {
  begin(2, 2);
  ASSERT_EQ(bring_up(kPairs, 5), kRuns);
  driver.command(4, {4, 0, 2, 0});  // Two pairs are used (virtio 1.2, 5.1.6.5.5).
  std::vector<std::string> sent;
  for (const std::size_t ring : {0U, 2U}) driver.offer_buffers(60, ring);
  for (std::size_t i = 0; i < 40; ++i) {
    sent.push_back(frame(i));
    driver.transmit(sent.back(), i % 2 == 0 ? 1 : 3);
  }
  std::vector<std::string> received = receive(40, {0, 2});
  std::ranges::sort(sent);
  std::ranges::sort(received);
  EXPECT_EQ(received, sent);
}

// As soon as the register is written nothing is used, whatever was under way, and however good the
// rings are that lie there.
TEST_F(DirectRegisters, NothingIsUsedBehindAReset) {
  begin(2, 2);
  floods = true;
  for (std::size_t i = 0; i < 16; ++i) {
    ASSERT_EQ(bring_up(kPairs, 4), kRuns);
    for (const std::size_t ring : {0U, 2U}) driver.offer_buffers(32, ring);
    for (std::size_t k = 0; k < i; ++k) driver.transmit(frame(k), k % 2 == 0 ? 1 : 3);
    reset();
    std::array<std::size_t, 4> used{};
    for (std::size_t ring = 0; ring < used.size(); ++ring) used[ring] = driver.transmitted(ring);
    for (const std::size_t ring : {0U, 2U}) {
      driver.reuse_buffers(ring);
      driver.offer_buffers(16, ring);
      driver.transmit(frame(i), ring + 1);
    }
    for (std::size_t ring = 0; ring < used.size(); ++ring) driver.kick(ring);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    for (std::size_t ring = 0; ring < used.size(); ++ring) {
      EXPECT_EQ(driver.transmitted(ring), used[ring]) << "round " << i << ", ring " << ring;
    }
    for (const std::size_t ring : {0U, 2U}) EXPECT_TRUE(driver.buffers_are_untouched(ring));
  }
}

TEST_F(DirectRegisters, QueuesThatCannotBeNeedAReset) {
  begin(1, 1);
  using Spoil = std::function<void(MmioQueueSetup&)>;
  const std::vector<Spoil> spoils = {
      [](MmioQueueSetup& queue) { queue.size = 0; },
      [](MmioQueueSetup& queue) { queue.size = 63; },
      [](MmioQueueSetup& queue) { queue.size = 0xffff; },
      [](MmioQueueSetup& queue) { queue.descriptors = 0; },
      [](MmioQueueSetup& queue) { queue.descriptors += 1; },
      [](MmioQueueSetup& queue) { queue.driver = Driver::kGuestBase + Driver::kMemory - 2; },
      [](MmioQueueSetup& queue) { queue.driver = ~std::uint64_t{1}; },
      [](MmioQueueSetup& queue) { queue.device = ~std::uint64_t{3}; },
      [](MmioQueueSetup& queue) { queue.device = Driver::kGuestBase - 4; },
  };
  for (std::size_t i = 0; i < spoils.size(); ++i) {
    for (const std::size_t ring : {0U, 1U}) {
      negotiate(kPlain);
      for (const std::size_t each : {0U, 1U}) {
        MmioQueueSetup queue = driver.setup_of(each);
        if (each == ring) spoils[i](queue);
        set_up(each, queue);
      }
      write(0x70, kRuns);
      EXPECT_EQ(read(0x70), kRunsNoMore) << "setup " << i << ", ring " << ring;
      EXPECT_EQ(read(0x60) & 2, 2U);
      reset();
    }
    expect_served();
  }
}

TEST_F(DirectRegisters, ADriverWithoutQueuesIsHarmless) {
  begin(1, 1);
  ASSERT_EQ(bring_up(kPlain, 0), kRuns);
  floods = true;
  reset();
  reset();
  floods = false;
  expect_served();
}

TEST_F(DirectRegisters, AResetIsDoneWhenWorkersAreGone) {
  begin(1, 1);
  ASSERT_EQ(bring_up(kPlain, 2), kRuns);
  stop();
  reset();
  EXPECT_EQ(bring_up(kPlain, 2), kRunsNoMore);
}

}  // namespace
}  // namespace sluice::link
