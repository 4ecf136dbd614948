// The registers against a model of them: whatever a driver reads and writes, in whatever order, all
// of them say what virtio 1.2, 4.2.2 and 3.1.1 tell of a driver that did the same.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>

#include "virtio/mmio/mmio_transport.h"

namespace sluice::virtio {
namespace {

constexpr std::size_t kQueues = 2;
constexpr std::uint16_t kSizeMax = 256;
constexpr FeatureSet kOffered{Feature::kMac, Feature::kMtu, Feature::kEventIdx, Feature::kVersion1};
constexpr Feature kUnwanted = Feature::kMtu;  // The device offers it, and refuses it alone.

// It starts where its first queue has a size.
class Device final : public MmioDevice {
 public:
  [[nodiscard]] std::uint32_t id() const override { return 1; }
  [[nodiscard]] FeatureSet offered() const override { return kOffered; }
  [[nodiscard]] std::expected<void, std::string> check(FeatureSet accepted) const override {
    if (accepted.has(kUnwanted)) return std::unexpected("not this one");
    return {};
  }
  [[nodiscard]] std::size_t queue_count() const override { return kQueues; }
  [[nodiscard]] std::uint16_t queue_size_max(std::size_t) const override { return kSizeMax; }
  void read_config(std::size_t, MutableBytes) const override {}
  void attach(MmioInterrupt&) override {}
  [[nodiscard]] bool start(FeatureSet accepted, std::span<const MmioQueueSetup> queues) override {
    features = accepted;
    setup.assign(queues.begin(), queues.end());
    ++starts;
    return queues[0].size != 0;
  }
  void reset() override { ++resets; }
  [[nodiscard]] int kick_fd(std::size_t) const override { return -1; }

  FeatureSet features;
  std::vector<MmioQueueSetup> setup;
  int starts = 0;
  int resets = 0;
};

// What a driver wrote, by the register; those of queues by their queue, too.
class Model {
 public:
  void write(std::uint32_t offset, std::uint32_t value) {
    if (offset == 0x70) return set_status(value);
    if (offset == 0x64) {
      interrupt &= ~value;
    } else if (offset == 0x20) {
      if (!has(8) && words_[0x24] < 2) accepted_[words_[0x24]] = value;
    } else if (offset == 0x14 || offset == 0x24 || offset == 0x30) {
      words_[offset] = value;
    } else if (words_[0x30] < kQueues) {
      write_queue(offset, value);
    }
  }
  [[nodiscard]] std::uint32_t read(std::uint32_t offset) {
    const bool is_queue = words_[0x30] < kQueues;
    switch (offset) {
      case 0x00: return 0x7472'6976;
      case 0x04: return 2;
      case 0x08: return 1;
      case 0x10:
        return words_[0x14] > 1 ? 0
                                : static_cast<std::uint32_t>(kOffered.bits() >> 32 * words_[0x14]);
      case 0x34: return is_queue ? kSizeMax : 0;
      case 0x44: return is_queue && word(words_[0x30], 0x44) == 1 ? 1 : 0;
      case 0x60: return interrupt;
      case 0x70: return status_;
      case 0xfc: return generation;
      default: return 0;
    }
  }
  [[nodiscard]] FeatureSet accepted() const {
    return FeatureSet(accepted_[0] | std::uint64_t{accepted_[1]} << 32);
  }
  [[nodiscard]] MmioQueueSetup setup_of(std::uint32_t queue) {
    const auto address = [&](std::uint32_t at) {
      return word(queue, at) | std::uint64_t{word(queue, at + 4)} << 32;
    };
    const std::uint32_t size = word(queue, 0x38);
    return {.size = size > kSizeMax ? std::uint16_t{0} : static_cast<std::uint16_t>(size),
            .ready = word(queue, 0x44) == 1,
            .descriptors = address(0x80),
            .driver = address(0x90),
            .device = address(0xa0)};
  }

  std::uint32_t interrupt = 0;
  std::uint32_t generation = 0;
  int starts = 0;
  int resets = 0;

 private:
  [[nodiscard]] bool has(std::uint32_t bits) const { return (status_ & bits) != 0; }
  [[nodiscard]] std::uint32_t word(std::uint32_t queue, std::uint32_t offset) {
    return queue_words_[{queue, offset}];
  }
  // From DRIVER_OK on a queue can only be taken back, of which this device is told by a reset.
  void write_queue(std::uint32_t offset, std::uint32_t value) {
    std::uint32_t& known = queue_words_[{words_[0x30], offset}];
    if (!has(4)) {
      known = value;
    } else if (offset == 0x44 && value == 0 && known == 1) {
      known = 0;
      ++resets;
      require_reset();
    }
  }
  void require_reset() {
    status_ |= 64;
    interrupt |= 2;
    ++generation;
  }
  void set_status(std::uint32_t value) {
    if (value == 0) {
      const std::uint32_t kept = generation;
      const Model before = *this;
      *this = {};
      generation = kept;
      starts = before.starts;
      resets = before.resets + 1;
      return;
    }
    const bool fits = accepted().without(kOffered) == FeatureSet{} &&
                      accepted().has(Feature::kVersion1) && !accepted().has(kUnwanted);
    status_ |= value & (1 | 2 | 128);
    if ((value & 8) != 0 && fits) status_ |= 8;
    if ((value & 4) == 0 || has(4) || !has(8)) return;
    status_ |= 4;
    ++starts;
    if (setup_of(0).size == 0) require_reset();
  }

  std::map<std::uint32_t, std::uint32_t> words_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> queue_words_;
  std::array<std::uint32_t, 2> accepted_{};
  std::uint32_t status_ = 0;
};

class Comparison {
 public:
  explicit Comparison(unsigned seed) : random_(seed) {}

  void step() {
    constexpr std::array<std::uint32_t, 15> kWritten = {
        0x14, 0x20, 0x24, 0x30, 0x38, 0x44, 0x64, 0x70, 0x70, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4};
    if (any(20) == 0) {
      interrupt_.set_used();
      model_.interrupt |= 1;
    } else if (any(20) == 0) {
      interrupt_.change_config();
      model_.interrupt |= 2;
      ++model_.generation;
    } else if (any(20) == 0) {
      write_wrongly();
    } else if (any(20) == 0) {
      negotiate();
    } else {
      const std::uint32_t offset = kWritten[any(kWritten.size())];
      write_both(offset, value_for(offset));
    }
    compare();
  }
  [[nodiscard]] int starts() const { return device_.starts; }

 private:
  std::uint32_t any(std::size_t below) { return static_cast<std::uint32_t>(random_() % below); }
  // Such that a driver gets somewhere, mostly.
  std::uint32_t value_for(std::uint32_t offset) {
    constexpr std::array<std::uint32_t, 9> kStatuses = {0, 1, 3, 11, 11, 15, 15, 15, 0xffff'ffff};
    constexpr std::array<std::uint32_t, 5> kHalves = {1, 1, 1 << 5, 1U << 29, 1 << 3};
    if (any(10) == 0) return static_cast<std::uint32_t>(random_());
    if (offset == 0x70) return kStatuses[any(kStatuses.size())];
    if (offset == 0x20) return kHalves[any(kHalves.size())];
    return any(4);
  }
  // What random registers would hardly come to.
  void negotiate() {
    constexpr std::array<std::uint32_t, 3> kLowHalves = {0, 1 << 5, 1U << 29 | 1 << 5};
    write_both(0x24, 1);
    write_both(0x20, 1);
    write_both(0x24, 0);
    write_both(0x20, kLowHalves[any(kLowHalves.size())]);
    write_both(0x70, 11);
  }
  void write_both(std::uint32_t offset, std::uint32_t value) {
    write(offset, value);
    model_.write(offset, value);
  }
  void write(std::uint64_t offset, std::uint32_t value) {
    const std::array bytes{static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8),
                           static_cast<std::uint8_t>(value >> 16),
                           static_cast<std::uint8_t>(value >> 24)};
    transport_.write(offset, bytes);
  }
  // Of another width or between registers, which is nothing; or to one that is only read.
  void write_wrongly() {
    const std::array<std::uint8_t, 8> bytes{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const std::size_t size = any(9);
    const std::uint32_t offset = any(0x100);
    if (size == 4 && offset % 4 == 0) {
      transport_.write(4 * std::uint64_t{any(4)}, ByteView(bytes).first(size));
    } else {
      transport_.write(offset, ByteView(bytes).first(size));
    }
  }
  void compare() {
    for (std::uint32_t offset = 0; offset < MmioTransport::kConfig; offset += 4) {
      // Vendors are free; shared memory that is not there has its own test.
      if (offset == 0x0c || offset == 0xb0 || offset == 0xb4) continue;
      std::array<std::uint8_t, 4> bytes{};
      transport_.read(offset, bytes);
      const std::uint32_t value = bytes[0] | std::uint32_t{bytes[1]} << 8 |
                                  std::uint32_t{bytes[2]} << 16 | std::uint32_t{bytes[3]} << 24;
      ASSERT_EQ(value, model_.read(offset)) << "register " << offset;
    }
    ASSERT_EQ(device_.resets, model_.resets);
    ASSERT_EQ(device_.starts, model_.starts);
    if (device_.starts == compared_) return;
    compared_ = device_.starts;
    ASSERT_EQ(device_.features, model_.accepted());
    for (std::uint32_t i = 0; i < kQueues; ++i) {
      const MmioQueueSetup expected = model_.setup_of(i);
      const MmioQueueSetup& queue = device_.setup[i];
      ASSERT_EQ(queue.size, expected.size);
      ASSERT_EQ(queue.ready, expected.ready);
      ASSERT_EQ(queue.descriptors, expected.descriptors);
      ASSERT_EQ(queue.driver, expected.driver);
      ASSERT_EQ(queue.device, expected.device);
    }
  }

  std::minstd_rand random_;
  Device device_;
  InterruptStatus interrupt_;
  MmioTransport transport_{device_, interrupt_};
  Model model_;
  int compared_ = 0;
};

TEST(MmioTransportModel, RegistersSayWhatTheModelSays) {
  int starts = 0;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    Comparison comparison(seed);
    for (int i = 0; i < 1'000 && !::testing::Test::HasFatalFailure(); ++i) comparison.step();
    ASSERT_FALSE(::testing::Test::HasFatalFailure()) << "seed " << seed;
    starts += comparison.starts();
  }
  EXPECT_GT(starts, 100) << "devices are started often enough for it to mean something";
}

}  // namespace
}  // namespace sluice::virtio
