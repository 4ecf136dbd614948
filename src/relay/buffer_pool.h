// Memory for bytes on their way from one socket to the other. Not thread-safe.
//
// Buffers are mapped, not allocated: they begin at a page's border, and one that is given up
// returns to the system at once, whatever the allocator's arenas look like by then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "relay/idle_stock.h"

namespace sluice::relay {

// Sole owner of a mapping. Move-only; empty when there was no memory.
class Buffer {
 public:
  Buffer() = default;
  [[nodiscard]] static Buffer map(std::size_t size);
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  [[nodiscard]] std::uint8_t* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool valid() const { return data_ != nullptr; }

 private:
  std::uint8_t* data_ = nullptr;
  std::uint32_t size_ = 0;
};

class BufferPool {
 public:
  // Idle buffers keep at most this much memory, but two buffers at least.
  static constexpr std::size_t kBytesKept = 2 * 1024 * 1024;

  explicit BufferPool(std::size_t buffer_size);

  // Of the pool's size. Not valid when the system has no memory.
  [[nodiscard]] Buffer take();
  // Of the pool's size or, if that is too little, of just this size.
  [[nodiscard]] Buffer take_at_least(std::size_t size);
  void give_back(Buffer buffer);

  // Unmaps what nobody needed since the last call.
  void age() { idle_.age(); }

  [[nodiscard]] std::size_t lent() const { return lent_; }
  [[nodiscard]] std::size_t idle() const { return idle_.size(); }

 private:
  std::size_t buffer_size_;
  std::size_t lent_ = 0;
  IdleStock<Buffer> idle_;
};

}  // namespace sluice::relay
