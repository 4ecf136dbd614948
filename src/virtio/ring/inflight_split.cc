#include "virtio/ring/inflight_split.h"

#include <algorithm>
#include <utility>

#include "virtio/ring/ring_words.h"

namespace sluice::virtio {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kRelease = std::memory_order_release;

// Of the region,
constexpr std::size_t kVersion = 8;
constexpr std::size_t kSize = 10;
constexpr std::size_t kLastBatch = 12;
constexpr std::size_t kUsedIndex = 14;
constexpr std::uint16_t kVersionOne = 1;
// and of a state.
constexpr std::size_t kInFlight = 0;
constexpr std::size_t kNext = 6;
constexpr std::size_t kCounter = 8;

}  // namespace

std::expected<InflightSplit, RingFault> InflightSplit::open(MutableBytes region,
                                                            std::size_t queue_size,
                                                            std::uint16_t used_index,
                                                            Recovered& recovered) {
  if (region.size() < region_size(queue_size) || !is_aligned(region.data(), 8)) {
    return std::unexpected(RingFault::kBadInflight);
  }
  InflightSplit inflight(region);
  inflight.batch_.reserve(queue_size);
  const auto version = load_word<std::uint16_t>(region.data() + kVersion, kRelaxed);
  recovered.used_before = version != 0;
  if (version == 0) {
    std::ranges::fill(region.first(region_size(queue_size)), std::uint8_t{0});
    store_word(region.data() + kSize, static_cast<std::uint16_t>(queue_size), kRelaxed);
    store_word(region.data() + kUsedIndex, used_index, kRelaxed);
    store_word(region.data() + kVersion, kVersionOne, kRelease);
    return inflight;
  }
  if (version != kVersionOne ||
      load_word<std::uint16_t>(region.data() + kSize, kRelaxed) != queue_size) {
    return std::unexpected(RingFault::kBadInflight);
  }
  inflight.finish_last_batch(used_index, queue_size);
  std::vector<std::pair<std::uint64_t, std::uint16_t>> found;
  for (std::size_t head = 0; head < queue_size; ++head) {
    const std::uint8_t* const state = inflight.state(head);
    if (load_word<std::uint8_t>(state + kInFlight, kRelaxed) == 0) continue;
    found.emplace_back(load_word<std::uint64_t>(state + kCounter, kRelaxed),
                       static_cast<std::uint16_t>(head));
  }
  std::ranges::sort(found);
  for (const auto& [counter, head] : found) recovered.heads.push_back(head);
  if (!found.empty()) inflight.counter_ = found.back().first + 1;
  return inflight;
}

// The used index was published, and then we ended before the states said so.
void InflightSplit::finish_last_batch(std::uint16_t used_index, std::size_t queue_size) {
  const auto noted = load_word<std::uint16_t>(region_.data() + kUsedIndex, kRelaxed);
  std::size_t left =
      std::min<std::size_t>(static_cast<std::uint16_t>(used_index - noted), queue_size);
  auto head = load_word<std::uint16_t>(region_.data() + kLastBatch, kRelaxed);
  for (; left > 0 && head < queue_size; --left) {
    store_word<std::uint8_t>(state(head) + kInFlight, 0, kRelaxed);
    head = load_word<std::uint16_t>(state(head) + kNext, kRelaxed);
  }
  store_word(region_.data() + kUsedIndex, used_index, kRelaxed);
}

void InflightSplit::on_taken(std::uint16_t head) {
  if (region_.empty()) return;
  store_word(state(head) + kCounter, counter_++, kRelaxed);
  // The compiler must not turn the two round: it is a crash of ours that somebody else reads this
  // after, no other processor.
  std::atomic_signal_fence(kRelease);
  store_word<std::uint8_t>(state(head) + kInFlight, 1, kRelaxed);
}

void InflightSplit::on_put_back(std::uint16_t head) {
  if (region_.empty()) return;
  store_word<std::uint8_t>(state(head) + kInFlight, 0, kRelaxed);
}

void InflightSplit::on_given(std::uint16_t head) {
  if (region_.empty()) return;
  const auto last = load_word<std::uint16_t>(region_.data() + kLastBatch, kRelaxed);
  store_word(state(head) + kNext, last, kRelaxed);
  std::atomic_signal_fence(kRelease);
  store_word(region_.data() + kLastBatch, head, kRelaxed);
  batch_.push_back(head);
}

void InflightSplit::on_published(std::uint16_t used_index) {
  if (region_.empty()) return;
  std::atomic_signal_fence(kRelease);
  for (const std::uint16_t head : batch_) {
    store_word<std::uint8_t>(state(head) + kInFlight, 0, kRelaxed);
  }
  batch_.clear();
  std::atomic_signal_fence(kRelease);
  store_word(region_.data() + kUsedIndex, used_index, kRelaxed);
}

}  // namespace sluice::virtio
