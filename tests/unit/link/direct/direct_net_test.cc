// The network device of a monitor in this process, by a driver in shared memory and by the calls
// that registers make, each from a thread of its own as a vCPU's is.
#include "link/direct/direct_net.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "unit/link/vhost_user/shared_driver.h"

namespace sluice::link {
namespace {

using virtio::Feature;
using virtio::FeatureSet;

constexpr FeatureSet kPlain{Feature::kVersion1, Feature::kMrgRxbuf};
constexpr FeatureSet kPairs{Feature::kVersion1, Feature::kMrgRxbuf, Feature::kCtrlVq, Feature::kMq};

class FakeInterrupt final : public virtio::MmioInterrupt {
 public:
  FakeInterrupt() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  void used() override {}
  void config_changed() override {}
  void needs_reset() override { ++resets_needed; }
  [[nodiscard]] int fd() const override { return fd_.get(); }

  int resets_needed = 0;

 private:
  UniqueFd fd_;
};

class Driver : public test::SharedDriver {
 public:
  explicit Driver(int interrupt) : interrupt_(interrupt) {}

  void drive(const DirectNet& net) { net_ = &net; }
  // As a driver does it in the registers, while the first worker has its turns.
  [[nodiscard]] std::vector<virtio::MmioQueueSetup> set_up(FeatureSet features, std::size_t rings) {
    accept(features);
    std::vector<virtio::MmioQueueSetup> queues(net_->queue_count());
    for (std::size_t i = 0; i < rings; ++i) {
      begin_ring(i, UniqueFd(::dup(net_->kick_fd(i))), UniqueFd(::dup(interrupt_)));
      const Places places = places_of(i);
      queues[i] = {.size = kRingSize,
                   .ready = true,
                   .descriptors = kGuestBase + places.descriptors,
                   .driver = kGuestBase + places.available,
                   .device = kGuestBase + places.used};
    }
    return queues;
  }

 private:
  const DirectNet* net_ = nullptr;  // Not owned.
  int interrupt_;
};

class DirectNetTest : public ::testing::Test {
 protected:
  void SetUp() override { make(1, 1); }

  void make(std::uint16_t pairs, std::size_t workers) {
    links.clear();
    driver.reset();
    net.reset();
    driver = std::make_unique<Driver>(interrupt.fd());
    DirectNetPlan plan{.device = {.mac = {}, .mtu = 1500, .queue_pairs_max = pairs},
                       .workers = workers,
                       .regions = {{.guest_address = Driver::kGuestBase, .size = Driver::kMemory}},
                       .memory_file = UniqueFd(::dup(driver->memory_file())),
                       .tell = [this](const std::string& line) { told.push_back(line); }};
    auto made = DirectNet::create(sys::real_kernel(), std::move(plan));
    ASSERT_TRUE(made);
    net = std::move(*made);
    net->attach(interrupt);
    driver->drive(*net);
    for (std::size_t i = 0; i < net->workers(); ++i) links.push_back(net->link(i));
  }

  void turn(std::size_t worker = 0) {
    const Link::Burst burst = links[worker]->read_burst(Link::Depth::kAsExpected);
    for (const wire::FrameIn& frame : burst.frames) {
      frames.emplace_back(frame.bytes.begin(), frame.bytes.end());
    }
    links[worker]->flush();
  }
  [[nodiscard]] bool ready(std::size_t worker = 0) const {
    pollfd poll{.fd = links[worker]->descriptors()[0], .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, 0) == 1;
  }
  void pump() {
    for (int i = 0; i < 100; ++i) {
      bool any = false;
      for (std::size_t worker = 0; worker < links.size(); ++worker) {
        if (!ready(worker)) continue;
        turn(worker);
        any = true;
      }
      if (!any) return;
    }
    FAIL() << "it is awake for nothing";
  }
  // Carries out what a vCPU's thread asks for, by turns of ours.
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
  [[nodiscard]] bool start(FeatureSet features, std::size_t rings) {
    const auto queues = driver->set_up(features, rings);
    bool answer = false;
    by_turns([&] { answer = net->start(features, queues); });
    return answer;
  }
  void reset() {
    by_turns([&] { net->reset(); });
  }
  std::size_t write(const std::string& frame, std::size_t worker = 0) {
    wire::FrameBatch batch;
    std::ranges::copy(frame, batch.add(frame.size(), {}, {}).begin());
    return links[worker]->write(batch);
  }
  [[nodiscard]] static std::string frame(char with) { return std::string(60, with); }

  FakeInterrupt interrupt;
  std::unique_ptr<DirectNet> net;
  std::unique_ptr<Driver> driver;
  std::vector<std::unique_ptr<Link>> links;
  std::vector<std::string> frames;
  std::vector<std::string> told;
};

TEST_F(DirectNetTest, IsANetworkDeviceWithItsConfiguration) {
  EXPECT_EQ(net->id(), 1U);
  EXPECT_EQ(net->queue_count(), 3U);
  EXPECT_TRUE(net->offered().has(Feature::kVersion1));
  EXPECT_TRUE(net->check(kPlain));
  EXPECT_FALSE(net->check({Feature::kVersion1, Feature::kGuestTso4}));
  std::array<std::uint8_t, 4> mtu{};
  net->read_config(10, mtu);
  EXPECT_EQ(mtu[0] | mtu[1] << 8, 1500);
  std::array<std::uint8_t, 8> beyond{1, 2, 3};
  net->read_config(1'000'000, beyond);
  EXPECT_EQ(beyond, (std::array<std::uint8_t, 8>{}));
}

TEST_F(DirectNetTest, CarriesFramesBothWays) {
  ASSERT_TRUE(start(kPlain, 2));
  EXPECT_TRUE(driver->transmit(frame('a')));
  pump();
  EXPECT_EQ(frames, std::vector{frame('a')});
  driver->offer_buffers(1);
  EXPECT_EQ(write(frame('b')), 0U);
  EXPECT_EQ(driver->receive(), std::vector{frame('b')});
  EXPECT_GT(driver->calls(0), 0U);
}

TEST_F(DirectNetTest, ServesOneDriverAfterAnother) {
  for (const char with : {'a', 'b', 'c'}) {
    ASSERT_TRUE(start(kPlain, 2));
    driver->transmit(frame(with));
    pump();
    reset();
  }
  EXPECT_EQ(frames, (std::vector{frame('a'), frame('b'), frame('c')}));
}

TEST_F(DirectNetTest, NothingOfBeforeOutlivesAReset) {
  ASSERT_TRUE(start(kPlain, 2));
  driver->transmit(frame('a'));
  EXPECT_EQ(write(frame('b')), 0U) << "it waits for a buffer";
  reset();
  EXPECT_EQ(write(frame('c')), 1U) << "there is no queue";
  frames.clear();
  ASSERT_TRUE(start(kPlain, 2));
  driver->offer_buffers(4);
  pump();
  EXPECT_EQ(frames, std::vector<std::string>{});
  EXPECT_EQ(driver->receive(), std::vector<std::string>{});
}

TEST_F(DirectNetTest, RefusesQueuesThatCannotBe) {
  auto queues = driver->set_up(kPlain, 2);
  queues[1].device = 0x10;  // There is no memory.
  bool answer = true;
  by_turns([&] { answer = net->start(kPlain, queues); });
  EXPECT_FALSE(answer);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("cannot be"), std::string::npos);
  EXPECT_TRUE(start(kPlain, 2)) << "with others it can";
}

TEST_F(DirectNetTest, QueuesThatAreNotReadyAreNotServed) {
  ASSERT_TRUE(start(kPlain, 1));
  driver->offer_buffers(1);
  EXPECT_EQ(write(frame('a')), 0U);
  EXPECT_EQ(driver->receive(), std::vector{frame('a')});
}

TEST_F(DirectNetTest, ABrokenRingIsToldOfAndTheNextDriverIsServed) {
  ASSERT_TRUE(start(kPlain, 2));
  driver->put_descriptor(1, 0, {.address = 0, .length = 60});
  driver->make_available(1, 0);
  pump();
  EXPECT_EQ(told.size(), 1U);
  EXPECT_EQ(interrupt.resets_needed, 1) << "its driver learns of it, too";
  ASSERT_TRUE(start(kPlain, 2));
  driver->transmit(frame('a'));
  pump();
  EXPECT_EQ(frames, std::vector{frame('a')});
}

TEST_F(DirectNetTest, AQueueThatIsTakenBackIsTouchedNoMoreAndTheOtherGoesOn) {
  ASSERT_TRUE(start(kPlain, 2));
  driver->transmit(frame('a'));
  pump();
  by_turns([&] { EXPECT_TRUE(net->stop_queue(1)); });
  driver->transmit(frame('b'));
  driver->kick(1);
  pump();
  EXPECT_EQ(frames, std::vector{frame('a')});
  EXPECT_EQ(driver->transmitted(1), 1U);
  driver->offer_buffers(1);
  EXPECT_EQ(write(frame('c')), 0U);
  EXPECT_EQ(driver->receive(), std::vector{frame('c')});
  by_turns([&] { EXPECT_TRUE(net->stop_queue(0)); });
  EXPECT_EQ(write(frame('d')), 1U);
  EXPECT_EQ(told, std::vector<std::string>{});
}

TEST_F(DirectNetTest, AStartThatFailsIsToldWhateverTheReason) {
  DirectNetPlan plan{.device = {.mac = {}, .mtu = 1500, .queue_pairs_max = 1},
                     .regions = {{.guest_address = Driver::kGuestBase, .size = Driver::kMemory}},
                     .memory_file = UniqueFd(),
                     .tell = [this](const std::string& line) { told.push_back(line); }};
  links.clear();
  net = std::move(*DirectNet::create(sys::real_kernel(), std::move(plan)));
  net->attach(interrupt);
  driver->drive(*net);
  links.push_back(net->link(0));
  EXPECT_FALSE(start(kPlain, 2));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("no way to the guest's memory"), std::string::npos) << told[0];
}

TEST_F(DirectNetTest, NobodyWaitsForWorkersThatAreGone) {
  ASSERT_TRUE(start(kPlain, 2));
  std::thread vcpu([&] { net->reset(); });
  net->shut_down();
  vcpu.join();
  net->reset();
  EXPECT_FALSE(net->start(kPlain, {}));
}

TEST_F(DirectNetTest, MemoryThatIsCutShortNeedsAReset) {
  ASSERT_TRUE(start(kPlain, 2));
  driver->cut_memory();
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(net->kick_fd(1), &one, sizeof one), 8);
  pump();
  EXPECT_EQ(interrupt.resets_needed, 1);
  EXPECT_EQ(write(frame('a')), 1U);
}

TEST_F(DirectNetTest, WorkersReadTheirPairsWhileDriversComeAndGo) {
  make(2, 2);
  ASSERT_EQ(links.size(), 2U);
  std::atomic<bool> over = false;
  std::vector<std::thread> workers;
  for (std::size_t worker = 0; worker < 2; ++worker) {
    workers.emplace_back([&, worker] {
      while (!over) {
        pollfd poll{.fd = links[worker]->descriptors()[0], .events = POLLIN, .revents = 0};
        if (::poll(&poll, 1, 10) == 1) (void)links[worker]->read_burst(Link::Depth::kAsExpected);
        links[worker]->flush();
        (void)write(frame('w'), worker);
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(net->start(kPairs, driver->set_up(kPairs, 4)));
    driver->offer_buffers(4);
    for (const std::size_t ring : {1U, 3U}) driver->transmit(frame('a'), ring);
    net->reset();
  }
  net->shut_down();
  over = true;
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(told, std::vector<std::string>{});
}

}  // namespace
}  // namespace sluice::link
