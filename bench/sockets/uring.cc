#include "sockets/uring.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace sluice::bench {
namespace {

[[nodiscard]] std::span<std::uint8_t> map_pages(std::size_t size, int fd, std::uint64_t offset) {
  const int how = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
  void* const at =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, how, fd, static_cast<off_t>(offset));
  if (at == MAP_FAILED) return {};
  return {static_cast<std::uint8_t*>(at), size};
}

[[nodiscard]] unsigned* word_at(std::span<std::uint8_t> bytes, std::size_t offset) {
  return reinterpret_cast<unsigned*>(bytes.data() + offset);
}

}  // namespace

std::unique_ptr<Uring> Uring::open(unsigned entries) {
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
  params.cq_entries = 8 * entries;
  UniqueFd fd(static_cast<int>(::syscall(SYS_io_uring_setup, entries, &params)));
  if (!fd.valid()) return nullptr;
  std::unique_ptr<Uring> ring(new Uring(std::move(fd)));
  return ring->map(params) ? std::move(ring) : nullptr;
}

bool Uring::map(const io_uring_params& params) {
  // IORING_FEAT_SINGLE_MMAP: both rings lie in one mapping.
  const std::size_t size =
      params.cq_off.cqes + std::size_t{params.cq_entries} * sizeof(io_uring_cqe);
  const auto rings = map_pages(size, ring_.get(), IORING_OFF_SQ_RING);
  const auto entries = map_pages(std::size_t{params.sq_entries} * sizeof(io_uring_sqe), ring_.get(),
                                 IORING_OFF_SQES);
  mappings_ = {rings, entries};
  if (rings.empty() || entries.empty()) return false;
  entries_ = reinterpret_cast<io_uring_sqe*>(entries.data());
  completions_ = reinterpret_cast<const io_uring_cqe*>(rings.data() + params.cq_off.cqes);
  submission_tail_ = word_at(rings, params.sq_off.tail);
  submission_mask_ = *word_at(rings, params.sq_off.ring_mask);
  completion_head_ = word_at(rings, params.cq_off.head);
  completion_tail_ = word_at(rings, params.cq_off.tail);
  completion_mask_ = *word_at(rings, params.cq_off.ring_mask);
  unsigned* const order = word_at(rings, params.sq_off.array);
  for (unsigned i = 0; i < params.sq_entries; ++i) order[i] = i;
  return true;
}

Uring::~Uring() {
  for (const auto mapping : mappings_) {
    if (!mapping.empty()) ::munmap(mapping.data(), mapping.size());
  }
}

bool Uring::register_files(std::span<const int> files) const {
  return ::syscall(SYS_io_uring_register, ring_.get(), IORING_REGISTER_FILES, files.data(),
                   files.size()) == 0;
}

bool Uring::provide_buffers(unsigned count, std::size_t size) {
  const auto ring = map_pages(count * sizeof(io_uring_buf), -1, 0);
  const auto bytes = map_pages(count * size, -1, 0);
  mappings_.push_back(ring);
  mappings_.push_back(bytes);
  if (ring.empty() || bytes.empty()) return false;
  buffers_ = reinterpret_cast<io_uring_buf_ring*>(ring.data());
  buffer_bytes_ = bytes.data();
  buffer_count_ = count;
  buffer_size_ = size;
  io_uring_buf_reg plan{};
  plan.ring_addr = reinterpret_cast<std::uint64_t>(ring.data());
  plan.ring_entries = count;
  if (::syscall(SYS_io_uring_register, ring_.get(), IORING_REGISTER_PBUF_RING, &plan, 1) != 0) {
    return false;
  }
  for (unsigned i = 0; i < count; ++i) give_back(i);
  return true;
}

void Uring::give_back(unsigned buffer) {
  const std::uint16_t tail = buffers_->tail;
  // The first entry shares its last bytes with the tail, so that fields are set one by one.
  io_uring_buf& entry = reinterpret_cast<io_uring_buf*>(buffers_)[tail & (buffer_count_ - 1)];
  entry.addr = reinterpret_cast<std::uint64_t>(buffer_bytes_ + buffer * buffer_size_);
  entry.len = static_cast<std::uint32_t>(buffer_size_);
  entry.bid = static_cast<std::uint16_t>(buffer);
  __atomic_store_n(&buffers_->tail, static_cast<std::uint16_t>(tail + 1), __ATOMIC_RELEASE);
}

io_uring_sqe& Uring::next() {
  io_uring_sqe& entry = entries_[(*submission_tail_ + filled_++) & submission_mask_];
  entry = {};
  return entry;
}

void Uring::enter(unsigned wanted) {
  const unsigned filled = std::exchange(filled_, 0);
  __atomic_store_n(submission_tail_, *submission_tail_ + filled, __ATOMIC_RELEASE);
  ++calls_;
  (void)::syscall(SYS_io_uring_enter, ring_.get(), filled, wanted, IORING_ENTER_GETEVENTS, nullptr,
                  0);
}

}  // namespace sluice::bench
