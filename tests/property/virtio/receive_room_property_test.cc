// Two equal guests, and the same frames to both: to one by copy, to the other with their payload
// put into its buffers before they are written. Both see the same, in the same buffers.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "base/prng.h"
#include "unit/virtio/mock_drivers.h"
#include "virtio/net/receive_queue.h"

namespace sluice::virtio::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

class Guest {
 public:
  Guest(const MockOptions& options, const NetHeaderFormat& format)
      : driver_(make_mock_driver(options)) {
    RC_ASSERT(queue.ring().start(driver_->memory(), driver_->config()).has_value());
    queue.set_format(format);
  }
  void offer(std::span<const std::size_t> sizes, MockDriver::Form form) {
    std::vector<MockBuffer> chain;
    for (const std::size_t size : sizes) {
      chain.push_back(driver_->writable(size));
      std::ranges::fill(driver_->at(chain.back()), std::uint8_t{0});
    }
    if (const auto id = driver_->offer(chain, form)) buffers_[*id] = chain;
    driver_->show();
  }
  // What was used, as the driver finds it: ids, lengths, and bytes.
  [[nodiscard]] Bytes take() {
    Bytes all;
    while (const auto used = driver_->take_used()) {
      all.push_back(static_cast<std::uint8_t>(used->id));
      all.push_back(static_cast<std::uint8_t>(used->written));
      all.push_back(static_cast<std::uint8_t>(used->written >> 8));
      std::size_t left = used->written;
      for (const MockBuffer& buffer : buffers_[used->id]) {
        const MutableBytes at = driver_->at(buffer);
        const auto part = static_cast<std::ptrdiff_t>(std::min(left, at.size()));
        all.insert(all.end(), at.begin(), at.begin() + part);
        left -= static_cast<std::size_t>(part);
      }
      RC_ASSERT(left == 0U);
    }
    return all;
  }

  ReceiveQueue queue;

 private:
  std::unique_ptr<MockDriver> driver_;
  std::map<std::uint16_t, std::vector<MockBuffer>> buffers_;
};

struct Setting {
  Prng prng{*rc::gen::arbitrary<std::uint64_t>()};
  MockOptions options{.size = std::size_t{1} << *rc::gen::inRange(4, 9),
                      .features = {.packed = *rc::gen::arbitrary<bool>(),
                                   .event_index = *rc::gen::arbitrary<bool>(),
                                   .indirect = *rc::gen::arbitrary<bool>(),
                                   .in_order = *rc::gen::arbitrary<bool>()},
                      .data_bytes = 16 * 1024 * 1024};
  NetHeaderFormat format =
      header_format(*rc::gen::arbitrary<bool>() ? FeatureSet{Feature::kVersion1, Feature::kMrgRxbuf}
                                                : FeatureSet{Feature::kVersion1});

  Setting() {
    if (options.features.packed) options.base = kPackedStart;
  }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(prng.next() % bound); }
};

RC_GTEST_PROP(ReceiveRoomProperty, BothWaysAreTheSame, ()) {
  Setting setting;
  Guest by_copy(setting.options, setting.format);
  Guest by_room(setting.options, setting.format);
  Bytes stream(256 * 1024);
  for (std::uint8_t& byte : stream) byte = static_cast<std::uint8_t>(setting.prng.next());
  bool had_room = false;
  for (int round = 0; round < 8; ++round) {
    for (std::size_t i = setting.below(setting.options.size / 2 + 1); i > 0; --i) {
      std::vector<std::size_t> sizes(1 + setting.below(3));
      for (std::size_t& size : sizes)
        size = 12 + setting.below(setting.below(2) == 0 ? 4096 : 20'000);
      const auto form = setting.options.features.indirect && setting.below(2) == 0
                            ? MockDriver::Form::kIndirect
                            : MockDriver::Form::kDirect;
      by_copy.offer(sizes, form);
      by_room.offer(sizes, form);
    }
    // What is wanted, and what comes of it: less, as much, or more, of which the rest lies
    // elsewhere.
    ReceiveQueue::Wanted wanted{.headers = 54 + 20 * setting.below(2),
                                .payload = 1 + setting.below(65'000),
                                .bytes = 1 + setting.below(stream.size())};
    if (wanted.bytes > wanted.payload && setting.below(2) == 0) {
      wanted.bytes -= wanted.bytes % wanted.payload;
    }
    const bool is_whole = wanted.bytes % wanted.payload == 0;
    const std::size_t peeked = 1 + setting.below(is_whole ? stream.size() : wanted.bytes);
    const auto room = by_room.queue.room_for(wanted);
    had_room = had_room || !room.empty();
    Bytes rest = stream;
    std::size_t at = 0;
    for (const MutableBytes piece : room) {
      const std::size_t part = std::min(piece.size(), peeked - at);
      std::ranges::copy(ByteView(stream).subspan(at, part), piece.begin());
      // Nobody may read it there.
      std::fill_n(rest.begin() + static_cast<std::ptrdiff_t>(at), part, std::uint8_t{0xee});
      at += part;
    }
    RC_ASSERT(at <= wanted.bytes);
    wire::FrameBatch copied;
    wire::FrameBatch placed;
    const std::size_t frames = (peeked + wanted.payload - 1) / wanted.payload;
    for (std::size_t i = 0; i < std::min<std::size_t>(frames, 200); ++i) {
      const std::size_t begin = i * wanted.payload;
      const std::size_t size = std::min(wanted.payload, peeked - begin);
      const auto mark = static_cast<std::uint8_t>(i);
      std::ranges::fill(copied.add(wanted.headers, ByteView(stream).subspan(begin, size), {}),
                        mark);
      std::ranges::fill(placed.add(wanted.headers, ByteView(rest).subspan(begin, size), {}), mark);
    }
    const std::size_t in_place = room.empty() ? 0 : by_room.queue.fill_room(placed).next;
    const std::size_t end = by_room.queue.fill(placed, in_place, placed.size()).next;
    RC_ASSERT(by_copy.queue.fill(copied, 0, copied.size()).next == end);
    RC_ASSERT(by_copy.take() == by_room.take());
    RC_ASSERT(by_copy.queue.ring().base() == by_room.queue.ring().base());
    RC_ASSERT(by_room.queue.ring().outstanding() == 0U);
    RC_ASSERT(by_copy.queue.ring().fault() == by_room.queue.ring().fault());
  }
  RC_CLASSIFY(had_room, "had room");
}

}  // namespace
}  // namespace sluice::virtio::test
