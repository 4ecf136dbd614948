// A device's side against a driver that may write anything at any time: nothing outside of the
// guest's memory is touched (the address sanitizer sees it), chains are what they say they are, and
// a queue that is broken writes nothing more.
//
// Input: a byte of features, one of the size, then operations, a byte each with what they need.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "require.h"
#include "unit/flow/engine/guest_frames.h"
#include "unit/virtio/mock_drivers.h"
#include "virtio/net/receive_queue.h"
#include "virtio/net/transmit_queue.h"
#include "wire/byte_cursor.h"

namespace sluice::virtio::test {

class RingHarness {
 public:
  RingHarness(wire::ByteReader& input, bool packed) : input_(input) {
    const std::uint8_t flags = input.u8();
    const std::size_t size = packed ? input.u8() % 16U + 1U : std::size_t{1} << (input.u8() % 5);
    const RingFeatures features{.packed = packed,
                                .event_index = (flags & 1) != 0,
                                .indirect = (flags & 2) != 0,
                                .in_order = (flags & 4) != 0};
    tracks_ = (flags & 8) != 0;
    sends_ = (flags & 32) != 0;
    driver_ = make_mock_driver({.size = size,
                                .features = features,
                                .base = packed ? kPackedStart : 0,
                                .data_bytes = 2048,
                                .table_entries = kChainMax});
    const FeatureSet accepted = (flags & 16) != 0
                                    ? FeatureSet{Feature::kVersion1, Feature::kMrgRxbuf}
                                    : FeatureSet{Feature::kVersion1};
    receive_.set_format(header_format(accepted));
    transmit_.set_format(header_format(accepted));
    queue_ = sends_ ? &transmit_.ring() : &receive_.ring();
    // Beside the first one, as the guest has it.
    require(driver_->memory()
                .add({.guest_address = MockDriver::kGuestBase + driver_->bytes().size(),
                      .user_address = 0,
                      .bytes = other_})
                .has_value(),
            "a second region");
    const std::size_t region =
        packed ? InflightPacked::region_size(size) : InflightSplit::region_size(size);
    inflight_.resize(region / 8);
    start();
  }

  void run() {
    while (!input_.empty()) step();
    queue_->stop();
  }

 private:
  void step() {
    const std::uint8_t operation = input_.u8();
    if (operation >= kLargeFrames) return offer_large();
    switch (operation % 12) {
      case 0: return scribble(driver_->bytes(), input_.u16());
      case 1: return scribble(driver_->bytes(), input_.u8());
      case 2: return offer();
      case 3: return driver_->show();
      case 4: return take(input_.u8());
      case 5: return give(input_.u8());
      case 6: return put_back(input_.u8());
      case 7: return publish();
      case 8:
        if (input_.u8() % 2 == 0) return queue_->disable_kicks();
        return (void)queue_->enable_kicks();
      case 9:
        if (tracks_) scribble(inflight_bytes(), input_.u16());
        return start();
      case 10: return frames();
      default: driver_->want_call_behind(input_.u8()); return (void)driver_->take_used();
    }
  }

  [[nodiscard]] MutableBytes inflight_bytes() {
    return {reinterpret_cast<std::uint8_t*>(inflight_.data()), inflight_.size() * 8};
  }
  // Up to 16 bytes of the input, or none.
  void scribble(MutableBytes where, std::size_t at) {
    const std::size_t wanted = input_.u8() % 17U;
    const ByteView bytes = input_.take(std::min(wanted, input_.rest().size()));
    for (const std::uint8_t byte : bytes) where[at++ % where.size()] = byte;
  }
  void start() {
    QueueConfig config = driver_->config();
    if (queue_->started()) config.base = queue_->base();
    if (tracks_) config.inflight = inflight_bytes();
    given_ = 0;
    // A region that contradicts itself, or an index that lies, is refused.
    if (!queue_->start(driver_->memory(), config)) {
      std::ranges::fill(inflight_, 0U);
      config.base = driver_->options().base;
      require(queue_->start(driver_->memory(), config).has_value(), "a new region is taken");
    }
  }
  void offer() {
    std::vector<MockBuffer> chain(input_.u8() % (kChainMax + 1));
    for (MockBuffer& buffer : chain) {
      const std::uint16_t place = input_.u16();
      buffer = {MockDriver::kGuestBase + place % (driver_->bytes().size() + other_.size() + 8),
                input_.u8(), (place & 0x8000) != 0};
    }
    if (chain.empty()) return;
    (void)driver_->offer(
        chain, input_.u8() % 2 == 0 ? MockDriver::Form::kDirect : MockDriver::Form::kIndirect);
  }
  // A segment of TCP data so large that its payload may stay where it is, anywhere in the memory.
  void offer_large() {
    constexpr std::uint32_t kHead = 204;
    constexpr std::uint32_t kPiece = 1700;
    static const std::vector<std::uint8_t> head = [] {
      std::vector<std::uint8_t> bytes(wire::VirtioNetHeader::kSize);
      bytes[0] = wire::VirtioNetHeader::kNeedsCsum;
      const auto frame =
          flow::test::tcp_frame({}, {.guest = flow::test::endpoint("10.0.2.15:40000"),
                                     .remote = flow::test::endpoint("198.51.100.7:80"),
                                     .flags = wire::kAck,
                                     .payload = flow::test::stream(0, kHead + 3 * kPiece - 66)});
      bytes.insert(bytes.end(), frame.begin(), frame.end());
      bytes.resize(kHead);
      return bytes;
    }();
    const MutableBytes memory = driver_->bytes();
    std::ranges::copy(head, memory.last(kHead).begin());
    std::array<MockBuffer, 4> chain;
    chain[0] = {MockDriver::kGuestBase + memory.size() - kHead, kHead, false};
    for (MockBuffer& buffer : std::span(chain).subspan(1)) {
      buffer = {MockDriver::kGuestBase + input_.u16() % (memory.size() - kPiece), kPiece, false};
    }
    (void)driver_->offer(chain);
  }
  void take(std::size_t count) {
    const auto fault = queue_->fault();
    const auto taken = queue_->take(count);
    require(!fault || (!taken && taken.error() == *fault), "a broken queue stays broken");
    require(taken || queue_->fault() == taken.error(), "a fault is kept");
    if (!taken) return;
    require(taken->size() <= count, "no more than were asked for");
    for (const Chain& chain : *taken) look_at(chain);
  }
  void look_at(const Chain& chain) {
    std::uint64_t bytes = 0;
    for (const ByteView piece : chain.readable) {
      bytes += check(piece);
      for (const std::uint8_t byte : piece) sum_ = static_cast<std::uint8_t>(sum_ + byte);
    }
    require(bytes == chain.readable_bytes, "the readable bytes are the sum of their pieces");
    bytes = 0;
    for (const MutableBytes piece : chain.writable) bytes += check(piece);
    require(bytes == chain.writable_bytes, "the writable bytes are the sum of their pieces");
    require(chain.slots > 0 && chain.slots <= driver_->options().size, "a chain fits its ring");
  }
  [[nodiscard]] std::size_t check(ByteView piece) const {
    const auto inside = [&](ByteView region) {
      return piece.data() >= region.data() &&
             piece.data() + piece.size() <= region.data() + region.size();
    };
    require(!piece.empty() && (inside(driver_->bytes()) || inside(other_)),
            "a piece is the guest's memory");
    return piece.size();
  }
  // Its memory is large, and serves all inputs.
  [[nodiscard]] static FrameBurst& burst() {
    static FrameBurst burst;
    return burst;
  }
  void give(std::size_t count) {
    for (; count > 0 && given_ < queue_->held().size(); --count) {
      const Chain& chain = queue_->held()[given_++];
      for (const MutableBytes piece : chain.writable) std::ranges::fill(piece, std::uint8_t{0xa5});
      queue_->give(chain, chain.writable_bytes);
    }
  }
  void put_back(std::size_t count) {
    queue_->put_back(std::min(count, queue_->held().size() - given_));
  }
  void publish() {
    const bool broken = queue_->fault().has_value();
    std::vector<std::uint8_t> before;
    if (broken) before.assign(driver_->bytes().begin(), driver_->bytes().end());
    queue_->publish();
    const bool call = queue_->needs_call();
    require(!broken || (!call && std::ranges::equal(before, driver_->bytes())),
            "a broken queue writes nothing, and calls nobody");
    given_ = std::min(given_, queue_->held().size());
  }
  // As a network device uses the same queue, all at once.
  void frames() {
    put_back(queue_->held().size());
    publish();
    if (!queue_->held().empty()) return;
    if (sends_) {
      burst().clear();
      (void)transmit_.read(burst());
      for (const wire::FrameIn& frame : burst().frames()) {
        for (const std::uint8_t byte : frame.bytes) sum_ = static_cast<std::uint8_t>(sum_ + byte);
        for (const ByteView piece : frame.rest) (void)check(piece);
      }
      (void)transmit_.release();
    } else {
      batch_.clear();
      for (std::size_t i = input_.u8() % 4U; i > 0; --i) {
        const std::uint8_t header = input_.u8();
        (void)batch_.add(header, ByteView(payload_).first(input_.u8()), {});
      }
      require(receive_.write(batch_).lost <= batch_.size(), "what is lost was to be written");
    }
    given_ = 0;
  }

  static constexpr std::uint8_t kLargeFrames = 0xf0;
  static constexpr std::size_t kChainMax = 5;  // Memory that is small is made and cleared soon.

  wire::ByteReader& input_;
  std::unique_ptr<MockDriver> driver_;
  std::vector<std::uint8_t> other_ = std::vector<std::uint8_t>(256);
  std::vector<std::uint64_t> inflight_;
  std::vector<std::uint8_t> payload_ = std::vector<std::uint8_t>(256);
  ReceiveQueue receive_;
  TransmitQueue transmit_;
  Virtqueue* queue_ = nullptr;
  wire::FrameBatch batch_;
  std::size_t given_ = 0;  // Of the chains that are held.
  bool tracks_ = false;    // What is in flight.
  bool sends_ = false;     // The guest does.
  volatile std::uint8_t sum_ = 0;
};

}  // namespace sluice::virtio::test
