#include "virtio/ring/inflight_packed.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "virtio/ring/ring_words.h"

namespace sluice::virtio {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kRelease = std::memory_order_release;

// Of the region,
constexpr std::size_t kVersion = 8;
constexpr std::size_t kSize = 10;
constexpr std::size_t kFree = 12;
constexpr std::size_t kOldFree = 14;
constexpr std::size_t kUsed = 16;
constexpr std::size_t kOldUsed = 18;
constexpr std::size_t kUsedWrap = 20;
constexpr std::size_t kOldUsedWrap = 21;
constexpr std::uint16_t kVersionOne = 1;
// and of a record.
constexpr std::size_t kInFlight = 0;
constexpr std::size_t kNext = 2;
constexpr std::size_t kLast = 4;
constexpr std::size_t kCount = 6;
constexpr std::size_t kCounter = 8;
constexpr std::size_t kId = 16;
constexpr std::size_t kFlags = 18;
constexpr std::size_t kLength = 20;
constexpr std::size_t kAddress = 24;

template <std::unsigned_integral T>
[[nodiscard]] T load(const std::uint8_t* at) {
  return load_word<T>(at, kRelaxed);
}

void store_position(std::uint8_t* index, std::uint8_t* wrap, PackedPosition position) {
  store_word(index, position.index, kRelaxed);
  store_word<std::uint8_t>(wrap, position.wrap ? 1 : 0, kRelaxed);
}

}  // namespace

std::expected<InflightPacked, RingFault> InflightPacked::open(MutableBytes region,
                                                              std::size_t queue_size,
                                                              const std::uint8_t* descriptors,
                                                              Recovered& recovered) {
  if (region.size() < region_size(queue_size) || !is_aligned(region.data(), 8)) {
    return std::unexpected(RingFault::kBadInflight);
  }
  InflightPacked inflight;
  inflight.region_ = region.first(region_size(queue_size));
  inflight.records_.resize(queue_size);
  inflight.noted_.reserve(queue_size);
  inflight.batch_.reserve(queue_size);
  const auto size = static_cast<std::uint16_t>(queue_size);
  const auto version = load<std::uint16_t>(region.data() + kVersion);
  recovered.used_before = version != 0;
  if (version == 0) {
    inflight.make_ready(size, recovered.used);
    return inflight;
  }
  if (version != kVersionOne || load<std::uint16_t>(region.data() + kSize) != size ||
      !inflight.settle_last_batch(descriptors, recovered.used) ||
      !inflight.read_chains(recovered)) {
    return std::unexpected(RingFault::kBadInflight);
  }
  return inflight;
}

void InflightPacked::make_ready(std::uint16_t queue_size, PackedPosition used) {
  std::uint8_t* const region = region_.data();
  std::ranges::fill(region_, std::uint8_t{0});
  store_word(region + kSize, queue_size, kRelaxed);
  store_position(region + kUsed, region + kUsedWrap, used);
  store_position(region + kOldUsed, region + kOldUsedWrap, used);
  free_ = queue_size;
  for (std::uint16_t record = queue_size; record-- > 0;) {
    records_[record].last = record;
    link_free(record);
  }
  store_free(kFree);
  store_free(kOldFree);
  store_word(region + kVersion, kVersionOne, kRelease);
}

bool InflightPacked::settle_last_batch(const std::uint8_t* descriptors, PackedPosition& used) {
  std::uint8_t* const region = region_.data();
  const PackedPosition fresh{load<std::uint16_t>(region + kUsed),
                             load<std::uint8_t>(region + kUsedWrap) != 0};
  const PackedPosition old{load<std::uint16_t>(region + kOldUsed),
                           load<std::uint8_t>(region + kOldUsedWrap) != 0};
  if (fresh.index >= records_.size() || old.index >= records_.size()) return false;
  bool seen = true;
  if (fresh != old) {
    // The first of the batch, which is written last: is it still as the driver made it?
    const auto rest = load<std::uint64_t>(descriptors + Descriptor::kSize * old.index + 8);
    const Descriptor first = Descriptor::packed(0, rest);
    seen = first.is(Descriptor::kAvailable) != old.wrap || first.is(Descriptor::kUsed) == old.wrap;
  }
  used = seen ? fresh : old;
  // Records that are free by then may still say that they are in flight.
  auto record = load<std::uint16_t>(region + (seen ? kFree : kOldFree));
  for (std::size_t steps = 0; steps < records_.size() && record < records_.size(); ++steps) {
    set_in_flight(record, false);
    record = load<std::uint16_t>(place(record) + kNext);
  }
  return true;
}

bool InflightPacked::read_chains(Recovered& recovered) {
  std::vector<bool> taken(records_.size());
  std::vector<std::pair<std::uint64_t, std::uint16_t>> found;
  for (std::size_t record = 0; record < records_.size(); ++record) {
    if (load<std::uint8_t>(place(record) + kInFlight) == 0) continue;
    const auto first = static_cast<std::uint16_t>(record);
    if (!read_chain(first, taken)) return false;
    found.emplace_back(load<std::uint64_t>(place(record) + kCounter), first);
    recovered.slots += records_[record].count;
  }
  std::ranges::sort(found);
  for (const auto& [counter, first] : found) recovered.records.push_back(first);
  if (!found.empty()) counter_ = found.back().first + 1;
  // What no chain has is free, whatever the list said.
  free_ = static_cast<std::uint16_t>(records_.size());
  for (std::size_t record = records_.size(); record-- > 0;) {
    if (taken[record]) continue;
    records_[record].last = static_cast<std::uint16_t>(record);
    link_free(static_cast<std::uint16_t>(record));
  }
  on_publishing(recovered.used);
  on_published(recovered.used);
  return true;
}

bool InflightPacked::read_chain(std::uint16_t first, std::vector<bool>& taken) {
  const auto count = load<std::uint16_t>(place(first) + kCount);
  if (count == 0 || count > records_.size()) return false;
  std::uint16_t record = first;
  for (std::uint16_t i = 0; i < count; ++i) {
    if (record >= records_.size() || taken[record]) return false;
    taken[record] = true;
    const std::uint8_t* const at = place(record);
    records_[record].descriptor = {.address = load<std::uint64_t>(at + kAddress),
                                   .length = load<std::uint32_t>(at + kLength),
                                   .flags = load<std::uint16_t>(at + kFlags),
                                   .next = load<std::uint16_t>(at + kId)};
    records_[first].last = record;
    record = load<std::uint16_t>(at + kNext);
    records_[records_[first].last].next = record;
  }
  records_[first].count = count;
  return true;
}

std::uint16_t InflightPacked::keep() {
  if (region_.empty()) return 0;
  const std::uint16_t first = free_;
  std::uint16_t last = free_;
  for (const Descriptor& descriptor : noted_) {
    last = free_;
    records_[last].descriptor = descriptor;
    std::uint8_t* const at = place(last);
    store_word(at + kAddress, descriptor.address, kRelaxed);
    store_word(at + kLength, descriptor.length, kRelaxed);
    store_word(at + kFlags, descriptor.flags, kRelaxed);
    store_word(at + kId, descriptor.next, kRelaxed);
    free_ = records_[last].next;
  }
  records_[first].last = last;
  records_[first].count = static_cast<std::uint16_t>(noted_.size());
  std::uint8_t* const at = place(first);
  store_word(at + kLast, last, kRelaxed);
  store_word(at + kCount, records_[first].count, kRelaxed);
  store_word(at + kCounter, counter_++, kRelaxed);
  // A crash of ours is what this is for: the compiler alone could turn stores round.
  std::atomic_signal_fence(kRelease);
  set_in_flight(first, true);
  store_free(kFree);
  store_free(kOldFree);
  return first;
}

void InflightPacked::on_put_back(std::uint16_t record) {
  if (region_.empty()) return;
  set_in_flight(record, false);
  link_free(record);
  store_free(kFree);
  store_free(kOldFree);
}

// Its records become free when the driver sees it: until then, a crash takes it back.
void InflightPacked::on_given(std::uint16_t record) {
  if (!region_.empty()) batch_.push_back(record);
}

void InflightPacked::on_publishing(PackedPosition used) {
  if (region_.empty()) return;
  for (const std::uint16_t record : batch_) link_free(record);
  store_free(kFree);
  store_position(region_.data() + kUsed, region_.data() + kUsedWrap, used);
  std::atomic_signal_fence(kRelease);
}

void InflightPacked::on_published(PackedPosition used) {
  if (region_.empty()) return;
  std::atomic_signal_fence(kRelease);
  for (const std::uint16_t record : batch_) set_in_flight(record, false);
  batch_.clear();
  std::atomic_signal_fence(kRelease);
  store_free(kOldFree);
  store_position(region_.data() + kOldUsed, region_.data() + kOldUsedWrap, used);
}

std::span<const Descriptor> InflightPacked::chain(std::uint16_t first) {
  noted_.clear();
  std::uint16_t record = first;
  for (std::uint16_t i = 0; i < records_[first].count; ++i) {
    noted_.push_back(records_[record].descriptor);
    record = records_[record].next;
  }
  return noted_;
}

void InflightPacked::set_in_flight(std::uint16_t record, bool in_flight) {
  store_word<std::uint8_t>(place(record) + kInFlight, in_flight ? 1 : 0, kRelaxed);
}

// A chain's records, before those that are free.
void InflightPacked::link_free(std::uint16_t first) {
  const std::uint16_t last = records_[first].last;
  records_[last].next = free_;
  store_word(place(last) + kNext, free_, kRelaxed);
  free_ = first;
}

void InflightPacked::store_free(std::size_t at) {
  store_word(region_.data() + at, free_, kRelaxed);
}

}  // namespace sluice::virtio
