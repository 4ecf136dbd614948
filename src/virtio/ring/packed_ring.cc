#include "virtio/ring/packed_ring.h"

#include <algorithm>
#include <utility>

#include "base/unreachable.h"
#include "virtio/ring/ring_words.h"

namespace sluice::virtio {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// The second half of a descriptor.
constexpr std::size_t kRest = 8;

// Flags of event suppression (2.8.14), behind the place that they speak of.
constexpr std::uint32_t kEventsEnabled = 0;
constexpr std::uint32_t kEventsDisabled = 1;
constexpr std::uint32_t kEventsAtPlace = 2;
constexpr unsigned kEventFlags = 16;

// Chain::record of a chain that was not in flight before has this bit clear.
constexpr std::uint16_t kTakenAgain = 0x8000;

}  // namespace

std::expected<PackedRing, RingFault> PackedRing::make(const GuestMemory& memory,
                                                      const QueueConfig& config) {
  if (config.size == 0 || config.size > kQueueSizeMax) {
    return std::unexpected(RingFault::kBadQueueSize);
  }
  const RingSizes sizes = ring_sizes(config.size, config.features);
  if (config.descriptors.size() < sizes.descriptors || config.driver.size() < sizes.driver ||
      config.device.size() < sizes.device || !is_aligned(config.descriptors.data(), 16) ||
      !is_aligned(config.driver.data(), 4) || !is_aligned(config.device.data(), 4)) {
    return std::unexpected(RingFault::kBadRingArea);
  }
  PackedRing ring(memory, config);
  if (ring.next_available_.index >= config.size || ring.next_used_.index >= config.size) {
    return std::unexpected(RingFault::kBadStart);
  }
  if (!config.inflight.empty()) {
    if (const auto recovered = ring.recover(config); !recovered) {
      return std::unexpected(recovered.error());
    }
  }
  return ring;
}

PackedRing::PackedRing(const GuestMemory& memory, const QueueConfig& config)
    : memory_(&memory),
      store_(memory, config.size),
      descriptors_(config.descriptors.data()),
      driver_(config.driver.data()),
      device_(config.device.data()),
      features_(config.features),
      size_(static_cast<std::uint32_t>(config.size)),
      next_available_(PackedPosition::of_word(config.base)),
      next_used_(PackedPosition::of_word(config.base >> 16)),
      published_used_(next_used_) {}

std::expected<void, RingFault> PackedRing::recover(const QueueConfig& config) {
  InflightPacked::Recovered recovered{.used = next_used_};
  auto opened = InflightPacked::open(config.inflight, config.size, descriptors_, recovered);
  if (!opened) return std::unexpected(opened.error());
  inflight_ = std::move(*opened);
  if (!recovered.used_before) return {};
  resubmit_ = std::move(recovered.records);
  next_used_ = recovered.used;
  published_used_ = next_used_;
  // What is neither used nor in flight was not taken.
  next_available_ = next_used_;
  next_available_.advance(recovered.slots, size_);
  // Chains in flight have their places in the ring, also before they are taken again.
  slots_out_ = recovered.slots;
  return {};
}

std::expected<std::span<const Chain>, RingFault> PackedRing::take(std::size_t chains_max) {
  const std::size_t held_before = store_.chains().size();
  std::optional<RingFault> fault;
  std::size_t left = chains_max;
  for (; left > 0 && resubmitted_ < resubmit_.size() && store_.has_room(); --left) {
    fault = take_again(resubmit_[resubmitted_]);
    if (fault) break;
    ++resubmitted_;
  }
  for (; !fault && left > 0 && store_.has_room(); --left) {
    const auto one = take_one();
    if (!one) {
      fault = one.error();
    } else if (!*one) {
      break;
    }
  }
  const std::span<const Chain> taken = store_.chains().subspan(held_before);
  if (fault && taken.empty()) return std::unexpected(*fault);
  outstanding_ += taken.size();
  return taken;
}

bool PackedRing::is_available(std::uint64_t rest) const {
  const Descriptor descriptor = Descriptor::packed(0, rest);
  return descriptor.is(Descriptor::kAvailable) == next_available_.wrap &&
         descriptor.is(Descriptor::kUsed) != next_available_.wrap;
}

std::expected<bool, RingFault> PackedRing::take_one() {
  PackedPosition at = next_available_;
  // The flags are read with id and length, before all else: what the driver wrote before it set
  // them is seen behind them, the chain's other descriptors too.
  auto rest = load_word<std::uint64_t>(slot(at.index) + kRest, std::memory_order_acquire);
  if (!is_available(rest)) return false;
  store_.begin();
  inflight_.begin();
  for (std::uint32_t slots = 1;; ++slots) {
    // As large as the ring is, a chain that does not end comes to its own beginning, or to one
    // that is still in our hands.
    if (slots > size_) return std::unexpected(RingFault::kChainTooLong);
    if (slots_out_ + slots_unpublished_ + slots > size_) {
      return std::unexpected(RingFault::kIndexRanAhead);
    }
    const auto address = load_word<std::uint64_t>(slot(at.index), kRelaxed);
    const Descriptor descriptor = Descriptor::packed(address, rest);
    inflight_.note(descriptor);
    at.advance(1, size_);
    const bool indirect = descriptor.is(Descriptor::kIndirect);
    if (const auto fault = indirect ? walk_indirect(descriptor) : store_.add(descriptor)) {
      return std::unexpected(*fault);
    }
    if (indirect || !descriptor.is(Descriptor::kNext)) {
      const auto taken = static_cast<std::uint16_t>(slots);
      store_.finish({.id = descriptor.next, .slots = taken, .record = inflight_.keep()});
      slots_out_ += slots;
      next_available_ = at;
      return true;
    }
    rest = load_word<std::uint64_t>(slot(at.index) + kRest, kRelaxed);
  }
}

std::optional<RingFault> PackedRing::take_again(std::uint16_t record) {
  const std::span<const Descriptor> descriptors = inflight_.chain(record);
  store_.begin();
  for (const Descriptor& descriptor : descriptors) {
    const bool indirect = descriptor.is(Descriptor::kIndirect);
    if (const auto fault = indirect ? walk_indirect(descriptor) : store_.add(descriptor)) {
      return fault;
    }
  }
  store_.finish({.id = descriptors.back().next,
                 .slots = static_cast<std::uint16_t>(descriptors.size()),
                 .record = static_cast<std::uint16_t>(record | kTakenAgain)});
  return std::nullopt;
}

// Its entries are a chain as they stand there; NEXT says nothing in it (2.8.7).
std::optional<RingFault> PackedRing::walk_indirect(const Descriptor& descriptor) {
  if (!features_.indirect) return RingFault::kIndirectNotNegotiated;
  const auto table = store_.indirect_table(descriptor);
  if (!table) return table.error();
  for (std::size_t at = 0; at < table->size(); at += Descriptor::kSize) {
    const DescriptorWords words = load_descriptor(table->data() + at);
    const Descriptor entry = Descriptor::packed(words.address, words.rest);
    if (entry.is(Descriptor::kIndirect)) return RingFault::kIndirectNested;
    if (const auto fault = store_.add(entry)) return fault;
  }
  return std::nullopt;
}

void PackedRing::put_back(std::size_t count) {
  if (count > store_.chains().size()) unreachable("chains are put back that are not held");
  for (std::size_t i = 0; i < count; ++i) {
    const Chain& newest = store_.chains().back();
    if ((newest.record & kTakenAgain) != 0) {
      --resubmitted_;
    } else {
      inflight_.on_put_back(newest.record);
      next_available_.go_back(newest.slots, size_);
      slots_out_ -= newest.slots;
    }
    store_.pop();
  }
  outstanding_ -= count;
}

void PackedRing::give(const Chain& chain, std::uint32_t written) {
  memory_->written(chain.writable, written);
  inflight_.on_given(static_cast<std::uint16_t>(chain.record & ~kTakenAgain));
  // With IN_ORDER one descriptor may stand for several; the driver takes what is passed over for
  // used in full (2.8.10), so that only chains without anything to write are passed over.
  const bool run = features_.in_order && chain.writable_bytes == 0;
  if (!run || !run_begin_) run_begin_ = next_used_;
  std::uint64_t flags = run_begin_->wrap ? Descriptor::kAvailable | Descriptor::kUsed : 0U;
  if (written > 0) flags |= Descriptor::kWrite;
  const Used used{*run_begin_, written | (std::uint64_t{chain.id} << 32) | (flags << 48)};
  if (!first_ || first_->at == used.at) {
    first_ = used;
  } else {
    write(used, kRelaxed);
  }
  if (!run) run_begin_.reset();
  next_used_.advance(chain.slots, size_);
  slots_out_ -= chain.slots;
  slots_unpublished_ += chain.slots;
  --outstanding_;
}

void PackedRing::write(const Used& used, std::memory_order order) const {
  std::uint8_t* const at = slot(used.at.index);
  store_word(at + kRest, used.rest, order);
  memory_->written({at, Descriptor::kSize});
}

void PackedRing::publish() {
  store_.clear();
  if (!first_) return;
  inflight_.on_publishing(next_used_);
  // The driver reads on only behind this one.
  write(*first_, std::memory_order_release);
  inflight_.on_published(next_used_);
  first_.reset();
  run_begin_.reset();
  published_used_ = next_used_;
  slots_unpublished_ = 0;
  // Where the driver was asked last says nothing once the ring may have turned since: unlike the
  // indices of a split ring, places come again.
  if (unasked_) asked_at_.reset();
  unasked_ = true;
}

bool PackedRing::needs_call() {
  if (!std::exchange(unasked_, false)) return false;
  // See SplitRing::needs_call().
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const std::uint16_t now = published_used_.index;
  const std::optional<std::uint16_t> before = std::exchange(asked_at_, now);
  const auto wish = load_word<std::uint32_t>(driver_, kRelaxed);
  const std::uint32_t flags = (wish >> kEventFlags) & 3;
  if (flags != kEventsAtPlace || !features_.event_index) return flags != kEventsDisabled;
  if (!before) return true;
  // All three in the numbers of this turn of the ring: what belongs to the turn before is below
  // zero, which 16 bits do as well.
  const PackedPosition place = PackedPosition::of_word(wish);
  const auto size = static_cast<std::uint16_t>(size_);
  const std::uint16_t turn_back = place.wrap != published_used_.wrap ? size : 0;
  const std::uint16_t before_back = now <= *before ? size : 0;
  return passed_event(static_cast<std::uint16_t>(place.index - turn_back), now,
                      static_cast<std::uint16_t>(*before - before_back));
}

bool PackedRing::enable_kicks() {
  const std::uint32_t wish = features_.event_index
                                 ? next_available_.word() | (kEventsAtPlace << kEventFlags)
                                 : kEventsEnabled << kEventFlags;
  store_word(device_, wish, kRelaxed);
  log_device_area();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const std::uint8_t* const next = slot(next_available_.index);
  return is_available(load_word<std::uint64_t>(next + kRest, kRelaxed)) ||
         resubmitted_ < resubmit_.size();
}

void PackedRing::disable_kicks() {
  store_word(device_, kEventsDisabled << kEventFlags, kRelaxed);
  log_device_area();
}

std::uint32_t PackedRing::base() const {
  PackedPosition available = next_available_;
  available.go_back(std::min(slots_out_ + slots_unpublished_, size_), size_);
  return available.word() | (std::uint32_t{published_used_.word()} << 16);
}

void PackedRing::log_device_area() const {
  memory_->written({device_, ring_sizes(size_, features_).device});
}

}  // namespace sluice::virtio
