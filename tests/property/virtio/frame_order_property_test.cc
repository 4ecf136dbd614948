// Whatever the format, the buffers and the order in which both sides come to their turns: each
// frame arrives once, in order, with equal bytes, and no kick and no call is missed.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <map>

#include "base/prng.h"
#include "unit/virtio/mock_drivers.h"
#include "virtio/net/receive_queue.h"
#include "virtio/net/transmit_queue.h"

namespace sluice::virtio::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

struct Setting {
  MockOptions options;
  Prng prng;

  Setting() : prng(*rc::gen::arbitrary<std::uint64_t>()) {
    RingFeatures features{.packed = *rc::gen::arbitrary<bool>(),
                          .event_index = *rc::gen::arbitrary<bool>(),
                          .indirect = *rc::gen::arbitrary<bool>(),
                          .in_order = *rc::gen::arbitrary<bool>()};
    options = {.size = std::size_t{1} << *rc::gen::inRange(2, 8), .features = features};
    const auto start = *rc::gen::arbitrary<std::uint16_t>();
    if (features.packed) {
      const auto place = static_cast<std::uint32_t>(start % options.size);
      const std::uint32_t at = (start & 0x8000U) | place;
      options.base = at | (at << 16);
    } else {
      // Often soon before the index wraps.
      options.base = start % 4 == 0 ? start : 0xfff0;
    }
  }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(prng.next() % bound); }
  MockDriver::Form form() {
    return options.features.indirect && below(2) == 0 ? MockDriver::Form::kIndirect
                                                      : MockDriver::Form::kDirect;
  }
  Bytes some(std::size_t size) {
    Bytes bytes(size);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(prng.next());
    return bytes;
  }
};

// The guest sends.
class Sender {
 public:
  explicit Sender(Setting& setting)
      : setting_(setting), driver_(make_mock_driver(setting.options)) {
    RC_ASSERT(queue_.ring().start(driver_->memory(), driver_->config()).has_value());
    queue_.set_format(header_format({Feature::kVersion1}));
    (void)queue_.ring().enable_kicks();
  }

  void driver_turn() {
    for (std::size_t i = setting_.below(8); i > 0; --i) {
      Bytes all = setting_.some(12 + 1 + setting_.below(2000));
      std::vector<MockBuffer> chain;
      for (ByteView left(all); !left.empty();) {
        const std::size_t part = chain.size() == 3 ? left.size() : setting_.below(left.size()) + 1;
        chain.push_back(driver_->readable(left.first(part)));
        left = left.subspan(part);
      }
      if (!driver_->offer(chain, setting_.form())) break;
      sent_.emplace_back(all.begin() + 12, all.end());
    }
    driver_->show();
    kicked_ = kicked_ || driver_->kick_wanted();
    while (driver_->take_used()) ++used_;
    driver_->want_calls(setting_.below(2) == 0 ? MockDriver::Calls::kAlways
                                               : MockDriver::Calls::kNever);
  }
  // Only when it was kicked, or sees by itself that there is more.
  void device_turn() {
    if (!kicked_) return;
    kicked_ = false;
    if (setting_.below(2) == 0) queue_.ring().disable_kicks();
    do {
      const auto drained = queue_.read(burst_);
      RC_ASSERT(drained.has_value());
      for (const wire::FrameIn& frame : burst_.frames()) {
        RC_ASSERT(received_ < sent_.size());
        RC_ASSERT(std::ranges::equal(frame.whole(), sent_[received_]));
        ++received_;
      }
      (void)queue_.release();
      burst_.clear();
    } while (queue_.ring().enable_kicks());
  }
  void finish() {
    device_turn();
    while (driver_->take_used()) ++used_;
    RC_ASSERT(received_ == sent_.size());
    RC_ASSERT(used_ == sent_.size());
    RC_ASSERT(queue_.ring().outstanding() == 0U);
  }

 private:
  Setting& setting_;
  std::unique_ptr<MockDriver> driver_;
  TransmitQueue queue_;
  FrameBurst burst_;
  std::deque<Bytes> sent_;
  std::size_t received_ = 0;
  std::size_t used_ = 0;
  bool kicked_ = false;
};

// The guest receives.
class Receiver {
 public:
  explicit Receiver(Setting& setting)
      : setting_(setting), driver_(make_mock_driver(setting.options)) {
    RC_ASSERT(queue_.ring().start(driver_->memory(), driver_->config()).has_value());
    queue_.set_format(header_format({Feature::kVersion1, Feature::kMrgRxbuf}));
  }

  void driver_turn() {
    for (std::size_t i = setting_.below(10); i > 0; --i) {
      std::vector<MockBuffer> chain;
      for (std::size_t pieces = setting_.below(3) + 1; pieces > 0; --pieces) {
        chain.push_back(driver_->writable(12 + setting_.below(500)));
      }
      const auto id = driver_->offer(chain, setting_.form());
      if (!id) break;
      buffers_[*id] = chain;
    }
    driver_->show();
    receive();
  }
  void device_turn() {
    batch_.clear();
    std::deque<Bytes> payloads;
    std::vector<Bytes> frames;
    for (std::size_t i = setting_.below(5); i > 0; --i) {
      Bytes& payload = payloads.emplace_back(setting_.some(setting_.below(3000)));
      Bytes whole = setting_.some(setting_.below(100));
      const MutableBytes room = batch_.add(whole.size(), payload, {});
      std::ranges::copy(whole, room.begin());
      std::ranges::copy(payload, std::back_inserter(whole));
      frames.push_back(whole);
    }
    const std::size_t lost = queue_.write(batch_).lost;
    RC_ASSERT(!queue_.ring().fault());
    RC_ASSERT(queue_.ring().outstanding() == 0U);
    accepted_ += frames.size() - lost;
    std::ranges::move(frames, std::back_inserter(written_));
  }
  void finish() {
    receive();
    RC_ASSERT(received_ == accepted_);
  }

 private:
  void receive() {
    Bytes frame;
    while (next_used(frame)) {
      const auto header =
          wire::VirtioNetHeader::parse(ByteView(frame).first<wire::VirtioNetHeader::kSize>());
      for (int i = 1; i < header.num_buffers; ++i) RC_ASSERT(next_used(frame));
      frame.erase(frame.begin(), frame.begin() + 12);
      // Those that were lost are passed over, and nothing else.
      while (!written_.empty() && written_.front() != frame) written_.pop_front();
      RC_ASSERT(!written_.empty());
      written_.pop_front();
      frame.clear();
      ++received_;
    }
  }
  bool next_used(Bytes& frame) {
    const auto used = driver_->take_used();
    if (!used) return false;
    std::size_t left = used->written;
    for (const MockBuffer& buffer : buffers_[used->id]) {
      const MutableBytes bytes =
          driver_->at(buffer).first(std::min<std::size_t>(left, buffer.length));
      frame.insert(frame.end(), bytes.begin(), bytes.end());
      left -= bytes.size();
    }
    return true;
  }

  Setting& setting_;
  std::unique_ptr<MockDriver> driver_;
  ReceiveQueue queue_;
  wire::FrameBatch batch_;
  std::map<std::uint16_t, std::vector<MockBuffer>> buffers_;
  std::deque<Bytes> written_;
  std::size_t accepted_ = 0;
  std::size_t received_ = 0;
};

template <typename Side>
void take_turns(Setting& setting) {
  Side side(setting);
  for (int turn = 0; turn < 100; ++turn) {
    if (setting.below(2) == 0) {
      side.driver_turn();
    } else {
      side.device_turn();
    }
  }
  side.finish();
}

RC_GTEST_PROP(FrameOrder, WhatTheGuestSendsArrives, ()) {
  Setting setting;
  take_turns<Sender>(setting);
}

RC_GTEST_PROP(FrameOrder, WhatTheGuestIsSentArrives, ()) {
  Setting setting;
  take_turns<Receiver>(setting);
}

}  // namespace
}  // namespace sluice::virtio::test
