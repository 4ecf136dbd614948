// io_uring by its system calls, as far as bench/sockets needs it: one ring of one thread, whose
// completions are run when that thread waits. Linux 6.1 and later.
#pragma once

#include <linux/io_uring.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/unique_fd.h"

namespace sluice::bench {

class Uring {
 public:
  // Null where the kernel has none, or forbids it: errno says which.
  [[nodiscard]] static std::unique_ptr<Uring> open(unsigned entries);
  ~Uring();
  Uring(const Uring&) = delete;
  Uring& operator=(const Uring&) = delete;

  // So that a place in the table can be named instead of a descriptor.
  [[nodiscard]] bool register_files(std::span<const int> files) const;
  // Buffers of one size, which the kernel takes from and give_back() adds to. Group 0.
  [[nodiscard]] bool provide_buffers(unsigned count, std::size_t size);
  void give_back(unsigned buffer);

  // An empty entry, to be filled before enter(). There must not be more than `entries` of them.
  [[nodiscard]] io_uring_sqe& next();
  // Submits what next() gave, and returns when so many completions are there.
  void enter(unsigned wanted);
  // Each completion that is there, once.
  template <typename Take>
  unsigned reap(const Take& take) {
    unsigned head = *completion_head_;
    const unsigned tail = __atomic_load_n(completion_tail_, __ATOMIC_ACQUIRE);
    unsigned count = 0;
    for (; head != tail; ++head, ++count) take(completions_[head & completion_mask_]);
    __atomic_store_n(completion_head_, head, __ATOMIC_RELEASE);
    return count;
  }
  [[nodiscard]] std::uint64_t calls() const { return calls_; }

 private:
  explicit Uring(UniqueFd ring) : ring_(std::move(ring)) {}
  [[nodiscard]] bool map(const io_uring_params& params);

  UniqueFd ring_;
  std::vector<std::span<std::uint8_t>> mappings_;
  io_uring_sqe* entries_ = nullptr;
  const io_uring_cqe* completions_ = nullptr;
  unsigned* submission_tail_ = nullptr;
  unsigned submission_mask_ = 0;
  unsigned* completion_head_ = nullptr;
  unsigned* completion_tail_ = nullptr;
  unsigned completion_mask_ = 0;
  unsigned filled_ = 0;
  std::uint64_t calls_ = 0;

  io_uring_buf_ring* buffers_ = nullptr;
  std::uint8_t* buffer_bytes_ = nullptr;
  unsigned buffer_count_ = 0;
  std::size_t buffer_size_ = 0;
};

}  // namespace sluice::bench
