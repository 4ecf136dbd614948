#include "relay/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>

namespace sluice::relay {

Buffer Buffer::map(std::size_t size) {
  Buffer buffer;
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return buffer;
  buffer.data_ = static_cast<std::uint8_t*>(at);
  buffer.size_ = static_cast<std::uint32_t>(size);
  return buffer;
}

Buffer::~Buffer() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

BufferPool::BufferPool(std::size_t buffer_size)
    : buffer_size_(buffer_size), idle_(std::max<std::size_t>(kBytesKept / buffer_size, 2)) {}

Buffer BufferPool::take() {
  if (auto kept = idle_.take()) {
    ++lent_;
    return std::move(*kept);
  }
  return take_at_least(buffer_size_);
}

Buffer BufferPool::take_at_least(std::size_t size) {
  Buffer buffer = Buffer::map(std::max(size, buffer_size_));
  if (buffer.valid()) ++lent_;
  return buffer;
}

void BufferPool::give_back(Buffer buffer) {
  --lent_;
  if (buffer.size() == buffer_size_) idle_.keep(std::move(buffer));
}

}  // namespace sluice::relay
