// A driver of a packed virtqueue (virtio 1.2, 2.8).
#pragma once

#include <utility>

#include "unit/virtio/mock_driver.h"
#include "virtio/ring/packed_position.h"

namespace sluice::virtio::test {

class MockPackedDriver final : public MockDriver {
 public:
  explicit MockPackedDriver(const MockOptions& options)
      : MockDriver(options),
        next_(PackedPosition::of_word(options.base)),
        shown_(next_),
        shown_before_(next_),
        used_(PackedPosition::of_word(options.base >> 16)),
        room_(options.size),
        slots_(options.size) {
    for (std::size_t i = 0; i < options.size; ++i) {
      ids_.push_back(static_cast<std::uint16_t>(i));
      // As if all was used up to the start: by this turn of the ring, and behind it by the last.
      const bool bits = next_.wrap == (i < next_.index);
      write_descriptor(descriptor(i), {0, 0,
                                       bits ? static_cast<std::uint16_t>(Descriptor::kAvailable |
                                                                         Descriptor::kUsed)
                                            : std::uint16_t{0},
                                       0});
    }
  }

  // One descriptor as it is, but for the two flags that make it available.
  void put(const MockBuffer& buffer, std::uint16_t flags, std::uint16_t id) {
    const unsigned write = buffer.writable ? Descriptor::kWrite : 0U;
    const unsigned mine = next_.wrap ? Descriptor::kAvailable : Descriptor::kUsed;
    const Descriptor descriptor{buffer.address, buffer.length,
                                static_cast<std::uint16_t>(flags | write | mine), id};
    if (next_ == shown_ && !first_) {
      first_ = descriptor;
    } else {
      write_descriptor(MockDriver::descriptor(next_.index), descriptor);
    }
    next_.advance(1, static_cast<std::uint32_t>(options_.size));
  }
  void show() override {
    if (!first_) return;
    std::atomic_thread_fence(std::memory_order_release);
    write_descriptor(descriptor(shown_.index), *first_);
    first_.reset();
    shown_before_ = std::exchange(shown_, next_);
  }
  [[nodiscard]] bool kick_wanted() override {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const auto wish = load_word<std::uint32_t>(device_area(), std::memory_order_relaxed);
    if (wish >> 16 != 2) return wish >> 16 == 0;
    const PackedPosition place = PackedPosition::of_word(wish);
    return passed_event(in_this_turn(place, shown_), shown_.index, before(shown_before_, shown_));
  }
  [[nodiscard]] std::optional<Used> take_used() override {
    if (batch_.empty() && !read_used()) return std::nullopt;
    const Used used = batch_.front();
    batch_.pop_front();
    if (used.id < slots_.size()) {
      room_ += std::exchange(slots_[used.id], std::uint16_t{0});
      ids_.push_back(used.id);
    }
    return used;
  }
  void want_calls(Calls calls) override {
    const std::uint32_t flags = calls == Calls::kAlways ? 0 : calls == Calls::kNever ? 1 : 2;
    store_word(driver_area(), used_.word() | (flags << 16), std::memory_order_relaxed);
  }
  void want_call_behind(std::uint16_t others) override {
    PackedPosition event = used_;
    event.advance(others, static_cast<std::uint32_t>(options_.size));
    store_word(driver_area(), event.word() | (std::uint32_t{2} << 16), std::memory_order_relaxed);
  }

 private:
  std::optional<std::uint16_t> offer_chain(std::span<const MockBuffer> chain, Form form) override {
    const bool indirect = form == Form::kIndirect;
    const std::size_t slots = indirect ? 1 : chain.size();
    if (room_ < slots || ids_.empty()) return std::nullopt;
    const std::uint16_t id = ids_.front();
    ids_.pop_front();
    if (indirect) {
      const MockBuffer table = fill_table(id, chain);
      put(table, Descriptor::kIndirect, id);
    } else {
      for (std::size_t i = 0; i < slots; ++i) {
        put(chain[i], i + 1 == slots ? std::uint16_t{0} : Descriptor::kNext, id);
      }
    }
    room_ -= slots;
    slots_[id] = static_cast<std::uint16_t>(slots);
    out_.push_back(id);
    return id;
  }

  [[nodiscard]] std::uint16_t in_this_turn(PackedPosition place, PackedPosition now) const {
    const std::size_t back = place.wrap == now.wrap ? 0 : options_.size;
    return static_cast<std::uint16_t>(place.index - back);
  }
  [[nodiscard]] std::uint16_t before(PackedPosition then, PackedPosition now) const {
    return static_cast<std::uint16_t>(then.index - (now.index <= then.index ? options_.size : 0));
  }
  [[nodiscard]] bool read_used() {
    const auto rest =
        load_word<std::uint64_t>(descriptor(used_.index) + 8, std::memory_order_acquire);
    const Descriptor found = Descriptor::packed(0, rest);
    if (found.is(Descriptor::kUsed) != used_.wrap || found.is(Descriptor::kAvailable) != used_.wrap)
      return false;
    std::uint32_t slots = 0;
    while (options_.features.in_order && !out_.empty() && out_.front() != found.next) {
      slots += slots_[out_.front()];
      batch_.push_back({out_.front(), 0});
      out_.pop_front();
    }
    std::erase(out_, found.next);
    slots += found.next < slots_.size() ? slots_[found.next] : 1;
    batch_.push_back({found.next, found.length});
    used_.advance(slots, static_cast<std::uint32_t>(options_.size));
    return true;
  }

  PackedPosition next_;
  PackedPosition shown_;
  PackedPosition shown_before_;
  PackedPosition used_;
  std::optional<Descriptor> first_;  // Of what is not shown.
  std::size_t room_;
  std::vector<std::uint16_t> slots_;  // Of a buffer id's chain.
  std::deque<std::uint16_t> ids_;
  std::deque<std::uint16_t> out_;
  std::deque<Used> batch_;
};

}  // namespace sluice::virtio::test
