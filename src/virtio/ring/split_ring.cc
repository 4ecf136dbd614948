#include "virtio/ring/split_ring.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <utility>

#include "base/unreachable.h"
#include "virtio/ring/ring_words.h"

namespace sluice::virtio {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Of the driver's and of the device's area.
constexpr std::size_t kFlags = 0;
constexpr std::size_t kIndex = 2;
constexpr std::size_t kEntries = 4;
constexpr std::size_t kHeadSize = 2;
constexpr std::size_t kUsedSize = 8;

constexpr std::uint16_t kNoCall = 1;  // VIRTQ_AVAIL_F_NO_INTERRUPT
constexpr std::uint16_t kNoKick = 1;  // VIRTQ_USED_F_NO_NOTIFY

// Chain::record of one that was in flight before.
constexpr std::uint16_t kTakenAgain = 1;

}  // namespace

std::expected<SplitRing, RingFault> SplitRing::make(const GuestMemory& memory,
                                                    const QueueConfig& config) {
  if (config.size == 0 || config.size > kQueueSizeMax || !std::has_single_bit(config.size)) {
    return std::unexpected(RingFault::kBadQueueSize);
  }
  const RingSizes sizes = ring_sizes(config.size, config.features);
  if (config.descriptors.size() < sizes.descriptors || config.driver.size() < sizes.driver ||
      config.device.size() < sizes.device || !is_aligned(config.descriptors.data(), 16) ||
      !is_aligned(config.driver.data(), 2) || !is_aligned(config.device.data(), 4)) {
    return std::unexpected(RingFault::kBadRingArea);
  }
  SplitRing ring(memory, config);
  if (!config.inflight.empty()) {
    if (const auto recovered = ring.recover(config); !recovered) {
      return std::unexpected(recovered.error());
    }
  }
  return ring;
}

SplitRing::SplitRing(const GuestMemory& memory, const QueueConfig& config)
    : memory_(&memory),
      store_(memory, config.size),
      descriptors_(config.descriptors.data()),
      driver_(config.driver.data()),
      device_(config.device.data()),
      features_(config.features),
      size_(static_cast<std::uint32_t>(config.size)),
      next_available_(static_cast<std::uint16_t>(config.base)),
      seen_available_(next_available_),
      next_used_(load_word<std::uint16_t>(device_ + kIndex, kRelaxed)),
      published_used_(next_used_) {}

std::expected<void, RingFault> SplitRing::recover(const QueueConfig& config) {
  InflightSplit::Recovered recovered;
  auto opened = InflightSplit::open(config.inflight, config.size, next_used_, recovered);
  if (!opened) return std::unexpected(opened.error());
  inflight_ = std::move(*opened);
  if (!recovered.used_before) return {};
  resubmit_ = std::move(recovered.heads);
  // What is neither used nor in flight was not taken: the base that a front-end gives is older
  // than the crash.
  next_available_ = static_cast<std::uint16_t>(next_used_ + resubmit_.size());
  seen_available_ = next_available_;
  return {};
}

std::expected<std::span<const Chain>, RingFault> SplitRing::take(std::size_t chains_max) {
  const std::size_t held_before = store_.chains().size();
  std::optional<RingFault> fault;
  std::size_t left = chains_max;
  for (; left > 0 && resubmitted_ < resubmit_.size() && store_.has_room(); --left) {
    fault = take_one(resubmit_[resubmitted_], kTakenAgain);
    if (fault) break;
    ++resubmitted_;
  }
  if (!fault && left > 0) fault = take_available(left);
  const std::span<const Chain> taken = store_.chains().subspan(held_before);
  if (fault && taken.empty()) return std::unexpected(*fault);
  outstanding_ += taken.size();
  return taken;
}

std::optional<RingFault> SplitRing::take_available(std::size_t chains_max) {
  std::uint32_t ready = static_cast<std::uint16_t>(seen_available_ - next_available_);
  if (ready < chains_max) {
    // What the driver wrote before it moved the index is seen behind it.
    seen_available_ = load_word<std::uint16_t>(driver_ + kIndex, std::memory_order_acquire);
    ready = static_cast<std::uint16_t>(seen_available_ - next_available_);
    if (ready > size_) {
      seen_available_ = next_available_;
      return RingFault::kIndexRanAhead;
    }
  }
  std::size_t left = std::min<std::size_t>(chains_max, ready);
  for (; left > 0 && store_.has_room(); --left) {
    const std::size_t at = kEntries + kHeadSize * (next_available_ & (size_ - 1));
    const auto head = load_word<std::uint16_t>(driver_ + at, kRelaxed);
    if (const auto fault = take_one(head, 0)) return fault;
    ++next_available_;
  }
  return std::nullopt;
}

std::optional<RingFault> SplitRing::take_one(std::uint16_t head, std::uint16_t record) {
  store_.begin();
  if (const auto fault = walk(head)) return fault;
  store_.finish({.id = head, .record = record});
  if (record != kTakenAgain) inflight_.on_taken(head);
  return std::nullopt;
}

std::optional<RingFault> SplitRing::walk(std::uint16_t head) {
  std::uint16_t index = head;
  // A chain that comes by more descriptors than the table has is a loop.
  for (std::uint32_t steps = 0; steps < size_; ++steps) {
    if (index >= size_) return RingFault::kIndexOutOfRange;
    const DescriptorWords words = load_descriptor(descriptors_ + Descriptor::kSize * index);
    const Descriptor descriptor = Descriptor::split(words.address, words.rest);
    if (descriptor.is(Descriptor::kIndirect)) return walk_indirect(descriptor);
    if (const auto fault = store_.add(descriptor)) return fault;
    if (!descriptor.is(Descriptor::kNext)) return std::nullopt;
    index = descriptor.next;
  }
  return RingFault::kChainTooLong;
}

std::optional<RingFault> SplitRing::walk_indirect(const Descriptor& descriptor) {
  if (!features_.indirect) return RingFault::kIndirectNotNegotiated;
  const auto table = store_.indirect_table(descriptor);
  if (!table) return table.error();
  const std::size_t entries = table->size() / Descriptor::kSize;
  std::size_t index = 0;
  for (std::size_t steps = 0; steps < entries; ++steps) {
    if (index >= entries) return RingFault::kIndexOutOfRange;
    const DescriptorWords words = load_descriptor(table->data() + Descriptor::kSize * index);
    const Descriptor entry = Descriptor::split(words.address, words.rest);
    if (entry.is(Descriptor::kIndirect)) return RingFault::kIndirectNested;
    if (const auto fault = store_.add(entry)) return fault;
    if (!entry.is(Descriptor::kNext)) return std::nullopt;
    index = entry.next;
  }
  return RingFault::kChainTooLong;
}

void SplitRing::put_back(std::size_t count) {
  if (count > store_.chains().size()) unreachable("chains are put back that are not held");
  for (std::size_t i = 0; i < count; ++i) {
    const Chain& newest = store_.chains().back();
    if (newest.record == kTakenAgain) {
      --resubmitted_;
    } else {
      inflight_.on_put_back(newest.id);
      --next_available_;
    }
    store_.pop();
  }
  outstanding_ -= count;
}

void SplitRing::give(const Chain& chain, std::uint32_t written) {
  memory_->written(chain.writable, written);
  inflight_.on_given(chain.id);
  if (!features_.in_order || chain.writable_bytes > 0 || !run_begin_) run_begin_ = next_used_;
  std::uint8_t* const entry = device_ + kEntries + kUsedSize * (*run_begin_ & (size_ - 1));
  store_word<std::uint32_t>(entry, chain.id, kRelaxed);
  store_word<std::uint32_t>(entry + 4, written, kRelaxed);
  // The driver takes what is passed over for used in full, and reads no length of it (2.7.8).
  if (!features_.in_order || chain.writable_bytes > 0) run_begin_.reset();
  ++next_used_;
  --outstanding_;
}

void SplitRing::publish() {
  store_.clear();
  if (next_used_ == published_used_) return;
  store_word(device_ + kIndex, next_used_, std::memory_order_release);
  inflight_.on_published(next_used_);
  published_used_ = next_used_;
  run_begin_.reset();
  unasked_ = true;
  log_device_area();
}

bool SplitRing::needs_call() {
  if (!std::exchange(unasked_, false)) return false;
  // Between our index and the driver's wish, as the driver has one between its wish and our index:
  // one of the two sees what the other wrote.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const std::optional<std::uint16_t> before = std::exchange(asked_at_, published_used_);
  if (!features_.event_index) {
    return (load_word<std::uint16_t>(driver_ + kFlags, kRelaxed) & kNoCall) == 0;
  }
  const auto event = load_word<std::uint16_t>(driver_ + kEntries + kHeadSize * size_, kRelaxed);
  return !before || passed_event(event, published_used_, *before);
}

bool SplitRing::enable_kicks() {
  if (features_.event_index) {
    store_word(device_ + kEntries + kUsedSize * size_, next_available_, kRelaxed);
  } else {
    store_word<std::uint16_t>(device_ + kFlags, 0, kRelaxed);
  }
  log_device_area();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return load_word<std::uint16_t>(driver_ + kIndex, kRelaxed) != next_available_ ||
         resubmitted_ < resubmit_.size();
}

// With an event index nothing need be done: the driver has passed it, and kicks no more.
void SplitRing::disable_kicks() {
  if (features_.event_index) return;
  store_word(device_ + kFlags, kNoKick, kRelaxed);
  log_device_area();
}

void SplitRing::log_device_area() const {
  memory_->written({device_, ring_sizes(size_, features_).device});
}

}  // namespace sluice::virtio
