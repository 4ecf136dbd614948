#include "virtio/mmio/mmio_transport.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace sluice::virtio {
namespace {

class Recorder final : public MmioDevice {
 public:
  [[nodiscard]] std::uint32_t id() const override { return 1; }
  [[nodiscard]] FeatureSet offered() const override {
    return {Feature::kMac, Feature::kMtu, Feature::kVersion1};
  }
  [[nodiscard]] std::expected<void, std::string> check(FeatureSet accepted) const override {
    if (accepted.has(Feature::kMtu) && !accepted.has(Feature::kMac)) {
      return std::unexpected("not without the other");
    }
    return {};
  }
  [[nodiscard]] std::size_t queue_count() const override { return 2; }
  [[nodiscard]] std::uint16_t queue_size_max(std::size_t queue) const override {
    return queue == 0 ? 256 : 64;
  }
  void read_config(std::size_t offset, MutableBytes into) const override {
    for (std::size_t i = 0; i < into.size(); ++i) {
      into[i] = static_cast<std::uint8_t>(0x50 + offset + i);
    }
  }
  void write_config(std::size_t offset, ByteView bytes) override {
    config.emplace_back(offset, bytes.size());
  }
  void attach(MmioInterrupt&) override {}
  [[nodiscard]] bool start(FeatureSet accepted, std::span<const MmioQueueSetup> queues) override {
    features = accepted;
    setup.assign(queues.begin(), queues.end());
    ++starts;
    return works;
  }
  void reset() override { ++resets; }
  [[nodiscard]] bool stop_queue(std::size_t queue) override {
    stopped.push_back(queue);
    return stops_one;
  }
  [[nodiscard]] int kick_fd(std::size_t) const override { return -1; }

  bool works = true;
  bool stops_one = true;
  std::vector<std::size_t> stopped;
  int starts = 0;
  int resets = 0;
  FeatureSet features;
  std::vector<MmioQueueSetup> setup;
  std::vector<std::pair<std::size_t, std::size_t>> config;
};

class Transport : public ::testing::Test {
 protected:
  std::uint32_t read(std::uint64_t offset) {
    std::array<std::uint8_t, 4> bytes{};
    transport_.read(offset, bytes);
    return bytes[0] | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16 |
           std::uint32_t{bytes[3]} << 24;
  }
  void write(std::uint64_t offset, std::uint32_t value) {
    const std::array bytes{static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8),
                           static_cast<std::uint8_t>(value >> 16),
                           static_cast<std::uint8_t>(value >> 24)};
    transport_.write(offset, bytes);
  }
  // As a driver does it: acknowledge, driver, features, FEATURES_OK. The status then.
  std::uint32_t negotiate(FeatureSet accepted) {
    write(0x70, 1);
    write(0x70, 3);
    for (const std::uint32_t half : {0U, 1U}) {
      write(0x24, half);
      write(0x20, static_cast<std::uint32_t>(accepted.bits() >> (32 * half)));
    }
    write(0x70, 11);
    return read(0x70);
  }
  void set_up_queue(std::uint32_t queue) {
    write(0x30, queue);
    write(0x38, 32);
    write(0x80, 0x1000);
    write(0x84, 1);
    write(0x90, 0x2000);
    write(0xa0, 0x3000);
    write(0xa4, 2);
    write(0x44, 1);
  }

  Recorder device_;
  InterruptStatus interrupt_;
  MmioTransport transport_{device_, interrupt_};
};

TEST_F(Transport, SaysWhatItIs) {
  EXPECT_EQ(read(0x00), 0x7472'6976U);
  EXPECT_EQ(read(0x04), 2U);
  EXPECT_EQ(read(0x08), 1U);
  EXPECT_EQ(read(0xb0), 0xffff'ffffU);  // No shared memory.
}

TEST_F(Transport, OffersItsFeaturesByHalves) {
  EXPECT_EQ(read(0x10), 1U << 3 | 1U << 5);
  write(0x14, 1);
  EXPECT_EQ(read(0x10), 1U);
  write(0x14, 2);
  EXPECT_EQ(read(0x10), 0U);
}

TEST_F(Transport, ADriverBringsADeviceUp) {
  ASSERT_EQ(negotiate({Feature::kMac, Feature::kVersion1}), 11U);
  set_up_queue(1);
  EXPECT_EQ(read(0x34), 64U);
  EXPECT_EQ(read(0x44), 1U);
  write(0x70, 15);
  EXPECT_EQ(read(0x70), 15U);
  ASSERT_EQ(device_.starts, 1);
  EXPECT_EQ(device_.features, (FeatureSet{Feature::kMac, Feature::kVersion1}));
  ASSERT_EQ(device_.setup.size(), 2U);
  EXPECT_FALSE(device_.setup[0].ready);
  EXPECT_TRUE(device_.setup[1].ready);
  EXPECT_EQ(device_.setup[1].size, 32);
  EXPECT_EQ(device_.setup[1].descriptors, 0x1'0000'1000U);
  EXPECT_EQ(device_.setup[1].driver, 0x2000U);
  EXPECT_EQ(device_.setup[1].device, 0x2'0000'3000U);
}

TEST_F(Transport, FeaturesThatDoNotFitAreRefused) {
  EXPECT_EQ(negotiate({Feature::kVersion1, Feature::kMq}), 3U);   // Not offered.
  EXPECT_EQ(negotiate({Feature::kMac}), 3U);                      // No version 1.
  EXPECT_EQ(negotiate({Feature::kMtu, Feature::kVersion1}), 3U);  // Not for this device.
  EXPECT_EQ(negotiate({Feature::kVersion1}), 11U);
}

TEST_F(Transport, WithoutSettledFeaturesNothingStarts) {
  write(0x70, 1 | 2 | 4);
  EXPECT_EQ(read(0x70), 3U);
  EXPECT_EQ(device_.starts, 0);
}

TEST_F(Transport, SettledIsSettled) {
  negotiate({Feature::kVersion1});
  write(0x24, 0);
  write(0x20, 1U << 5);
  set_up_queue(0);
  write(0x70, 15);
  EXPECT_EQ(device_.features, FeatureSet{Feature::kVersion1});
  write(0x80, 0xdead'0000);
  write(0x44, 2);
  write(0x70, 15);
  EXPECT_EQ(read(0x44), 1U);
  EXPECT_EQ(device_.starts, 1);
}

TEST_F(Transport, AQueueThatIsTakenBackIsStoppedAlone) {
  negotiate({Feature::kVersion1});
  set_up_queue(0);
  set_up_queue(1);
  write(0x44, 0);
  write(0x44, 1);
  EXPECT_TRUE(device_.stopped.empty()) << "nothing runs yet";
  write(0x70, 15);
  write(0x44, 0);
  EXPECT_EQ(read(0x44), 0U);
  EXPECT_EQ(device_.stopped, std::vector<std::size_t>{1});
  write(0x44, 0);
  write(0x44, 1);
  EXPECT_EQ(read(0x44), 0U) << "it is given anew behind a reset";
  EXPECT_EQ(device_.stopped.size(), 1U);
  EXPECT_EQ(read(0x70), 15U);
  EXPECT_EQ(device_.resets, 0);
}

TEST_F(Transport, ADeviceThatCannotStopOneQueueStopsAndNeedsAReset) {
  device_.stops_one = false;
  negotiate({Feature::kVersion1});
  set_up_queue(0);
  write(0x70, 15);
  write(0x44, 0);
  EXPECT_EQ(read(0x44), 0U);
  EXPECT_EQ(device_.resets, 1);
  EXPECT_EQ(read(0x70), 15U | 64U);
}

TEST_F(Transport, ADriverCannotSetWhatTheDeviceSays) {
  write(0x70, 0xffff'ffff);
  EXPECT_EQ(read(0x70), 1U | 2U | 128U);  // Features did not fit, so it was not started either.
}

TEST_F(Transport, ADeviceThatCannotStartNeedsAReset) {
  device_.works = false;
  negotiate({Feature::kVersion1});
  write(0x70, 15);
  EXPECT_EQ(read(0x70), 15U | 64U);
  EXPECT_EQ(read(0x60), 2U);
  write(0x70, 0);
  EXPECT_EQ(read(0x70), 0U);
  EXPECT_EQ(device_.resets, 1);
}

TEST_F(Transport, AResetForgetsEverything) {
  negotiate({Feature::kVersion1});
  set_up_queue(1);
  interrupt_.set_used();
  write(0x70, 0);
  EXPECT_EQ(read(0x60), 0U);
  write(0x30, 1);
  EXPECT_EQ(read(0x44), 0U);
  negotiate({Feature::kVersion1});
  write(0x70, 15);
  EXPECT_EQ(device_.setup[1].descriptors, 0U);
}

TEST_F(Transport, InterruptsAreAcknowledged) {
  interrupt_.set_used();
  interrupt_.change_config();
  EXPECT_EQ(read(0x60), 3U);
  write(0x64, 1);
  EXPECT_EQ(read(0x60), 2U);
  EXPECT_EQ(read(0xfc), 1U);
}

TEST_F(Transport, WhatAnotherProcessRaisesIsAlwaysUsed) {
  interrupt_.keep_used();
  write(0x64, 1);
  EXPECT_EQ(read(0x60), 1U);
  write(0x70, 0);
  EXPECT_EQ(read(0x60), 1U);
}

TEST_F(Transport, QueuesThatAreNotThereAreNothing) {
  write(0x30, 2);
  EXPECT_EQ(read(0x34), 0U);
  EXPECT_EQ(read(0x44), 0U);
  set_up_queue(0xffff'ffff);
  EXPECT_EQ(read(0x44), 0U);
}

TEST_F(Transport, ASizeBeyondAnyQueueIsNone) {
  negotiate({Feature::kVersion1});
  write(0x30, 0);
  write(0x38, 0x1'0020);
  write(0x30, 1);
  write(0x38, 65);
  write(0x70, 15);
  EXPECT_EQ(device_.setup[0].size, 0);
  EXPECT_EQ(device_.setup[1].size, 0) << "it has 64 at most";
}

TEST_F(Transport, RegistersAreWordsAndTheConfigurationIsBytes) {
  std::array<std::uint8_t, 2> half{0xff, 0xff};
  transport_.read(0, half);
  EXPECT_EQ(half, (std::array<std::uint8_t, 2>{0, 0}));
  EXPECT_EQ(read(0x02), 0U);
  transport_.write(0x70, half);
  EXPECT_EQ(read(0x70), 0U);
  transport_.read(0x103, half);
  EXPECT_EQ(half, (std::array<std::uint8_t, 2>{0x53, 0x54}));
  transport_.write(0x105, half);
  EXPECT_EQ(device_.config, (std::vector<std::pair<std::size_t, std::size_t>>{{5, 2}}));
}

}  // namespace
}  // namespace sluice::virtio
