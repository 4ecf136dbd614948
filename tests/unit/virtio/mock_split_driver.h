// A driver of a split virtqueue (virtio 1.2, 2.7).
#pragma once

#include <utility>

#include "unit/virtio/mock_driver.h"

namespace sluice::virtio::test {

class MockSplitDriver final : public MockDriver {
 public:
  explicit MockSplitDriver(const MockOptions& options)
      : MockDriver(options),
        next_(static_cast<std::uint16_t>(options.base)),
        shown_(next_),
        used_(next_),
        lengths_(options.size) {
    for (std::size_t i = 0; i < options.size; ++i) free_.push_back(static_cast<std::uint16_t>(i));
    store_word(driver_area() + 2, next_, std::memory_order_relaxed);
    store_word(device_area() + 2, next_, std::memory_order_relaxed);
  }

  // A head whose descriptors somebody wrote by hand, or none at all.
  void push_head(std::uint16_t head) {
    store_word(driver_area() + 4 + 2 * (next_ % options_.size), head, std::memory_order_relaxed);
    out_.push_back(head);
    ++next_;
  }
  void show() override {
    shown_before_ = std::exchange(shown_, next_);
    store_word(driver_area() + 2, next_, std::memory_order_release);
  }
  [[nodiscard]] bool kick_wanted() override {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!options_.features.event_index) {
      return load_word<std::uint16_t>(device_area(), std::memory_order_relaxed) == 0;
    }
    return passed_event(
        load_word<std::uint16_t>(device_area() + 4 + 8 * options_.size, std::memory_order_relaxed),
        shown_, shown_before_);
  }
  [[nodiscard]] std::optional<Used> take_used() override {
    if (batch_.empty()) {
      if (load_word<std::uint16_t>(device_area() + 2, std::memory_order_acquire) == used_) {
        return std::nullopt;
      }
      const std::uint8_t* const entry = device_area() + 4 + 8 * (used_ % options_.size);
      const auto id = load_word<std::uint32_t>(entry, std::memory_order_relaxed);
      const auto written = load_word<std::uint32_t>(entry + 4, std::memory_order_relaxed);
      // In order, an entry stands for all chains up to the one that it names.
      while (options_.features.in_order && !out_.empty() && out_.front() != id) {
        batch_.push_back({out_.front(), 0});
        out_.pop_front();
      }
      std::erase(out_, id);
      batch_.push_back({static_cast<std::uint16_t>(id), written});
      used_ = static_cast<std::uint16_t>(used_ + batch_.size());
    }
    const Used used = batch_.front();
    batch_.pop_front();
    if (used.id < lengths_.size()) {
      for (const std::uint16_t index : std::exchange(lengths_[used.id], {})) free_.push_back(index);
    }
    return used;
  }
  void want_calls(Calls calls) override {
    store_word<std::uint16_t>(driver_area(), calls == Calls::kNever ? 1 : 0,
                              std::memory_order_relaxed);
    if (options_.features.event_index) {
      store_event(calls == Calls::kNever ? static_cast<std::uint16_t>(used_ - 1) : used_);
    }
  }
  void want_call_behind(std::uint16_t others) override {
    store_event(static_cast<std::uint16_t>(used_ + others));
  }
  [[nodiscard]] std::uint16_t next_index() const { return next_; }

 private:
  std::optional<std::uint16_t> offer_chain(std::span<const MockBuffer> chain, Form form) override {
    const bool indirect = form == Form::kIndirect;
    const std::size_t slots = indirect ? 1 : chain.size();
    if (free_.size() < slots) return std::nullopt;
    const std::uint16_t head = free_.front();
    if (indirect) {
      const MockBuffer table = fill_table(head, chain);
      write_descriptor(descriptor(head), {table.address, table.length, Descriptor::kIndirect, 0});
    } else {
      for (std::size_t i = 0; i < slots; ++i) {
        const bool last = i + 1 == slots;
        const unsigned write = chain[i].writable ? Descriptor::kWrite : 0U;
        write_descriptor(descriptor(free_[i]),
                         {chain[i].address, chain[i].length,
                          static_cast<std::uint16_t>(write | (last ? 0U : Descriptor::kNext)),
                          static_cast<std::uint16_t>(last ? 0 : free_[i + 1])});
      }
    }
    lengths_[head].assign(free_.begin(), free_.begin() + static_cast<std::ptrdiff_t>(slots));
    free_.erase(free_.begin(), free_.begin() + static_cast<std::ptrdiff_t>(slots));
    push_head(head);
    return head;
  }

  void store_event(std::uint16_t event) {
    store_word(driver_area() + 4 + 2 * options_.size, event, std::memory_order_relaxed);
  }

  std::uint16_t next_;
  std::uint16_t shown_;
  std::uint16_t shown_before_ = 0;
  std::uint16_t used_;
  std::deque<std::uint16_t> free_;
  std::vector<std::vector<std::uint16_t>> lengths_;  // The descriptors of a head's chain.
  std::deque<std::uint16_t> out_;
  std::deque<Used> batch_;
};

}  // namespace sluice::virtio::test
