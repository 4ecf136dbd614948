// Virtqueues alone: bursts of 32 packets through take, give and publish, and through the queues of
// a network device to nobody. The driver's side is done beforehand and is not measured.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include "micro/engine_driver.h"
#include "micro/guest_tcp.h"
#include "micro/harness.h"
#include "unit/virtio/mock_drivers.h"
#include "virtio/net/receive_queue.h"
#include "virtio/net/transmit_queue.h"

namespace sluice::bench {
namespace {

using virtio::test::MockBuffer;
using virtio::test::MockDriver;

constexpr std::size_t kBurst = 32;
constexpr std::size_t kRing = 1024;

virtio::RingFeatures features(bool packed) {
  return {.packed = packed, .event_index = true, .indirect = true};
}

// A ring that is filled with packets of one size, each in one buffer behind its header.
class Ring {
 public:
  static constexpr std::uint64_t kBatch = kRing / kBurst;
  static constexpr std::uint64_t kCounted = 2 * kBatch;

  Ring(bool packed, std::size_t size, bool writable)
      : driver_(virtio::test::make_mock_driver({.size = kRing,
                                                .features = features(packed),
                                                .base = packed ? virtio::kPackedStart : 0,
                                                .data_bytes = 4 * 1024 * 1024})) {
    for (std::size_t i = 0; i < kRing; ++i) {
      buffers_.push_back(driver_->writable(size + wire::VirtioNetHeader::kSize));
      buffers_.back().writable = writable;
    }
  }
  void fill() {
    while (driver_->take_used()) {
    }
    for (const MockBuffer& buffer : buffers_) {
      if (!driver_->offer({buffer})) break;
    }
    driver_->show();
  }
  [[nodiscard]] MockDriver& driver() { return *driver_; }

 private:
  std::unique_ptr<MockDriver> driver_;
  std::vector<MockBuffer> buffers_;
};

class TakeAndGive {
 public:
  static constexpr std::uint64_t kBatch = Ring::kBatch;
  static constexpr std::uint64_t kCounted = Ring::kCounted;

  TakeAndGive(bool packed, std::size_t size) : ring_(packed, size, false) {
    require(queue_.start(ring_.driver().memory(), ring_.driver().config()).has_value(), "a queue");
  }
  void restore() { ring_.fill(); }
  void operator()() {
    const auto taken = queue_.take(kBurst);
    require(taken && taken->size() == kBurst, "a whole burst");
    for (const virtio::Chain& chain : *taken) {
      benchmark::DoNotOptimize(chain.readable.front().data());
      queue_.give(chain, 0);
    }
    queue_.publish();
    benchmark::DoNotOptimize(queue_.needs_call());
  }

 private:
  Ring ring_;
  virtio::Virtqueue queue_;
};

class Transmit {
 public:
  static constexpr std::uint64_t kBatch = Ring::kBatch;
  static constexpr std::uint64_t kCounted = Ring::kCounted;

  Transmit(bool packed, std::size_t size) : ring_(packed, size, false), size_(size) {
    require(queue_.ring().start(ring_.driver().memory(), ring_.driver().config()).has_value(),
            "a queue");
  }
  void restore() { ring_.fill(); }
  // A link reads up to 128 frames; this is a quarter of the time of one such burst.
  void operator()() {
    if (turn_++ % 4 != 0) return;
    burst_.clear();
    require(queue_.read(burst_).has_value() && burst_.frames().size() == 4 * kBurst, "a burst");
    require(burst_.frames().back().bytes.size() == size_, "whole frames");
    benchmark::DoNotOptimize(queue_.release());
  }

 private:
  Ring ring_;
  std::size_t size_;
  std::size_t turn_ = 0;
  virtio::TransmitQueue queue_;
  virtio::FrameBurst burst_;
};

// Super-frames of TCP in three buffers each, as Linux sends them: copied into the burst, or
// borrowed but for their heads. What the host's kernel then saves or pays is not in it.
class TransmitData {
 public:
  static constexpr std::uint64_t kBatch = 8;
  static constexpr std::uint64_t kCounted = 16;

  explicit TransmitData(bool borrowing)
      : driver_(virtio::test::make_mock_driver({.size = kRing,
                                                .features = features(false),
                                                .base = 0,
                                                .data_bytes = 8 * 1024 * 1024})) {
    require(queue_.ring().start(driver_->memory(), driver_->config()).has_value(), "a queue");
    burst_.set_borrowing(borrowing);
    wire::VirtioNetHeader header = kVouched;
    header.gso_type = wire::VirtioNetHeader::kGsoTcpV4;
    std::vector<std::uint8_t> bytes(wire::VirtioNetHeader::kSize);
    header.emit(MutableBytes(bytes).first<wire::VirtioNetHeader::kSize>());
    const auto frame = flow::test::tcp_frame({}, {.guest = flow::test::endpoint("10.0.2.15:40000"),
                                                  .remote = flow::test::endpoint("198.51.100.7:80"),
                                                  .payload = flow::test::stream(0, kPayload)});
    bytes.insert(bytes.end(), frame.begin(), frame.end());
    for (std::size_t i = 0; i < kFrames; ++i) {
      const ByteView all(bytes);
      chains_.push_back({driver_->readable(all.first(66)),
                         driver_->readable(all.subspan(66, 32'768)),
                         driver_->readable(all.subspan(66 + 32'768))});
    }
  }
  void restore() {
    while (driver_->take_used()) {
    }
    for (std::size_t i = 0; driver_->offer(chains_[i % kFrames]); ++i) {
    }
    driver_->show();
  }
  void operator()() {
    burst_.clear();
    require(queue_.read(burst_).has_value() && burst_.frames().size() == kFrames, "a burst");
    require(burst_.frames().back().size() > kPayload, "whole frames");
    benchmark::DoNotOptimize(queue_.release());
  }

 private:
  static constexpr std::size_t kPayload = 65'000;
  // A burst is full with as many.
  static constexpr std::size_t kFrames = virtio::FrameBurst::kBytesMax / kPayload + 1;

  std::unique_ptr<MockDriver> driver_;
  std::vector<std::vector<MockBuffer>> chains_;
  virtio::TransmitQueue queue_;
  virtio::FrameBurst burst_;
};

class Receive {
 public:
  static constexpr std::uint64_t kBatch = Ring::kBatch;
  static constexpr std::uint64_t kCounted = Ring::kCounted;

  Receive(bool packed, std::size_t size) : ring_(packed, size, true), payload_(size - kHeaders) {
    require(queue_.ring().start(ring_.driver().memory(), ring_.driver().config()).has_value(),
            "a queue");
    queue_.set_format({.mergeable = true});
  }
  void restore() { ring_.fill(); }
  void operator()() {
    batch_.clear();
    for (std::size_t i = 0; i < kBurst; ++i) (void)batch_.add(kHeaders, payload_, {});
    require(queue_.write(batch_).lost == 0, "room for all");
  }

 private:
  static constexpr std::size_t kHeaders = 42;  // Ethernet, IPv4, UDP.

  Ring ring_;
  std::vector<std::uint8_t> payload_;
  virtio::ReceiveQueue queue_;
  wire::FrameBatch batch_;
};

const Registrar registrar([] {
  add<TransmitData>("virtio_transmit_data/copied", false);
  add<TransmitData>("virtio_transmit_data/borrowed", true);
  for (const bool packed : {false, true}) {
    const char* const format = packed ? "packed" : "split";
    for (const std::size_t size : {std::size_t{64}, std::size_t{1400}}) {
      add<TakeAndGive>(fmt::format("virtqueue_32/{}/{}", size, format), packed, size);
      add<Transmit>(fmt::format("virtio_transmit_32/{}/{}", size, format), packed, size);
      add<Receive>(fmt::format("virtio_receive_32/{}/{}", size, format), packed, size);
    }
  }
});

}  // namespace
}  // namespace sluice::bench
