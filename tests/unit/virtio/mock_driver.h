// A guest's side of one virtqueue in plain memory: what a driver writes and reads, and nothing
// else, so that it can also write what no driver should. For tests, benchmarks and fuzzers.
//
//   const std::unique_ptr<MockDriver> driver = make_mock_driver({.size = 8});
//   Virtqueue queue;
//   queue.start(driver->memory(), driver->config());
//   driver->offer({driver->readable(bytes)});
//   driver->show();                  // The device may see it.
//   ...
//   driver->take_used();             // {id, written}, or nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/unreachable.h"
#include "virtio/guest_memory.h"
#include "virtio/ring/descriptor.h"
#include "virtio/ring/queue_config.h"
#include "virtio/ring/ring_words.h"

namespace sluice::virtio::test {

struct MockOptions {
  std::size_t size = 8;
  RingFeatures features{};
  std::uint32_t base = 0;                // Split: both indices; packed: QueueConfig::base.
  std::size_t data_bytes = 1024 * 1024;  // For buffers.
  std::size_t table_entries = 64;        // Of the indirect table that each slot has.
  // Guest-physical; several drivers of one guest have their own.
  std::uint64_t guest_base = 0x4000'0000;
  MutableBytes
      storage{};  // Where all of it lies, aligned to 64 bytes; empty: in memory of its own.
};

struct MockBuffer {
  std::uint64_t address = 0;  // Guest-physical.
  std::uint32_t length = 0;
  bool writable = false;
};

class MockDriver {
 public:
  static constexpr std::uint64_t kGuestBase = MockOptions{}.guest_base;
  static constexpr std::uint64_t kUserBase = 0x7f00'0000'0000;

  struct Used {
    std::uint16_t id = 0;
    std::uint32_t written = 0;
    friend bool operator==(const Used&, const Used&) = default;
  };

  explicit MockDriver(const MockOptions& options) : options_(options) {
    const RingSizes sizes = ring_sizes(options.size, options.features);
    driver_at_ = align(sizes.descriptors);
    device_at_ = align(driver_at_ + sizes.driver);
    tables_at_ = align(device_at_ + sizes.device);
    data_at_ = align(tables_at_ + options.size * options.table_entries * Descriptor::kSize);
    const std::size_t size = data_at_ + options.data_bytes;
    if (options.storage.empty()) {
      storage_.resize(size / sizeof(Line) + 1);
      bytes_ = {reinterpret_cast<std::uint8_t*>(storage_.data()), size};
    } else {
      bytes_ = options.storage.first(size);
    }
    data_next_ = data_at_;
    if (!memory_.add({options.guest_base, kUserBase, bytes_})) unreachable("the mock's memory");
  }
  MockDriver(const MockDriver&) = delete;
  MockDriver& operator=(const MockDriver&) = delete;
  virtual ~MockDriver() = default;

  [[nodiscard]] GuestMemory& memory() { return memory_; }
  [[nodiscard]] QueueConfig config() {
    const RingSizes sizes = ring_sizes(options_.size, options_.features);
    return {.size = options_.size,
            .features = options_.features,
            .descriptors = bytes_.subspan(0, sizes.descriptors),
            .driver = bytes_.subspan(driver_at_, sizes.driver),
            .device = bytes_.subspan(device_at_, sizes.device),
            .base = options_.base};
  }
  [[nodiscard]] const MockOptions& options() const { return options_; }

  // Buffers in the guest's memory, round and round; what lay there before is overwritten.
  [[nodiscard]] MockBuffer writable(std::size_t length) {
    if (data_next_ + length > bytes_.size()) data_next_ = data_at_;
    const MockBuffer buffer{options_.guest_base + data_next_, static_cast<std::uint32_t>(length),
                            true};
    data_next_ += length;
    return buffer;
  }
  [[nodiscard]] MockBuffer readable(ByteView content) {
    MockBuffer buffer = writable(content.size());
    buffer.writable = false;
    if (!content.empty()) std::ranges::copy(content, at(buffer).begin());
    return buffer;
  }
  // A buffer's bytes.
  [[nodiscard]] MutableBytes at(const MockBuffer& buffer) {
    return bytes_.subspan(buffer.address - options_.guest_base, buffer.length);
  }
  [[nodiscard]] MutableBytes bytes() { return bytes_; }
  // Whatever the ring looks like: its areas, to be written as no driver should.
  [[nodiscard]] std::uint8_t* descriptor(std::size_t index) {
    return bytes_.data() + Descriptor::kSize * index;
  }
  [[nodiscard]] std::uint8_t* driver_area() { return bytes_.data() + driver_at_; }
  [[nodiscard]] std::uint8_t* device_area() { return bytes_.data() + device_at_; }

  enum class Form : std::uint8_t { kDirect, kIndirect };
  // Puts a chain into the ring; the device sees it after show(). Its id, or nothing when the ring
  // has no room for it.
  std::optional<std::uint16_t> offer(std::span<const MockBuffer> chain, Form form = Form::kDirect) {
    return offer_chain(chain, form);
  }
  std::optional<std::uint16_t> offer(std::initializer_list<MockBuffer> chain,
                                     Form form = Form::kDirect) {
    return offer_chain({chain.begin(), chain.size()}, form);
  }
  virtual void show() = 0;
  // Whether the device asked for a kick for what show() showed last.
  [[nodiscard]] virtual bool kick_wanted() = 0;
  // The next chain that was used.
  [[nodiscard]] virtual std::optional<Used> take_used() = 0;
  enum class Calls : std::uint8_t { kAlways, kNever, kAtNextUsed };
  virtual void want_calls(Calls calls) = 0;
  // With an event index: a call for the chain that is used behind `others` more.
  virtual void want_call_behind(std::uint16_t others) = 0;

 protected:
  virtual std::optional<std::uint16_t> offer_chain(std::span<const MockBuffer> chain,
                                                   Form form) = 0;

  struct alignas(64) Line {
    std::uint8_t bytes[64];
  };

  [[nodiscard]] static std::size_t align(std::size_t at) {
    return (at + sizeof(Line) - 1) & ~(sizeof(Line) - 1);
  }
  // Fills an indirect table and returns its descriptor.
  [[nodiscard]] MockBuffer fill_table(std::size_t slot, std::span<const MockBuffer> chain) {
    const std::size_t at = tables_at_ + slot * options_.table_entries * Descriptor::kSize;
    for (std::size_t i = 0; i < chain.size(); ++i) {
      const bool last = i + 1 == chain.size();
      const unsigned write = chain[i].writable ? Descriptor::kWrite : 0U;
      const bool chained = !last && !options_.features.packed;
      const auto flags = static_cast<std::uint16_t>(write | (chained ? Descriptor::kNext : 0U));
      write_descriptor(bytes_.data() + at + Descriptor::kSize * i,
                       {chain[i].address, chain[i].length, flags,
                        static_cast<std::uint16_t>(chained ? i + 1 : 0)});
    }
    return {options_.guest_base + at, static_cast<std::uint32_t>(chain.size() * Descriptor::kSize),
            false};
  }
  void write_descriptor(std::uint8_t* at, const Descriptor& descriptor) const {
    const std::uint64_t flags = descriptor.flags;
    const std::uint64_t next = descriptor.next;
    const std::uint64_t rest =
        options_.features.packed ? (next << 32) | (flags << 48) : (flags << 32) | (next << 48);
    store_word(at, descriptor.address, std::memory_order_relaxed);
    store_word(at + 8, descriptor.length | rest, std::memory_order_relaxed);
  }

  MockOptions options_;
  MutableBytes bytes_;
  std::size_t driver_at_ = 0;
  std::size_t device_at_ = 0;
  std::size_t tables_at_ = 0;

 private:
  std::vector<Line> storage_;
  std::size_t data_at_ = 0;
  std::size_t data_next_ = 0;
  GuestMemory memory_;
};

}  // namespace sluice::virtio::test
