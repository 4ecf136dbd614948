#include "base/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace sluice {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(1);

}  // namespace

TimerWheel::TimerWheel(Instant start) : start_(start) {
  for (Level& level : levels_) {
    for (TimerNode& head : level.slots) {
      head.next_ = &head;
      head.prev_ = &head;
    }
  }
}

TimerWheel::~TimerWheel() {
  for (Level& level : levels_) {
    for (TimerNode& head : level.slots) {
      while (!slot_empty(head)) head.next_->unlink();
    }
  }
}

// Rounds up, so that a timer never fires early.
std::uint64_t TimerWheel::tick_of(Instant t) const {
  if (t <= start_) return 0;
  return static_cast<std::uint64_t>((t - start_ + kTick - Duration(1)) / kTick);
}

void TimerWheel::arm(TimerNode& node, Instant deadline) {
  node.unlink();
  node.deadline_ = deadline;
  place(node);
}

void TimerWheel::cancel(TimerNode& node) { node.unlink(); }

// Within the slot the lower digits are sorted out when its time comes.
void TimerWheel::place(TimerNode& node) {
  constexpr std::uint64_t kReach = (std::uint64_t{1} << (kLevelBits * kLevels)) - 1;
  std::uint64_t tick = std::max(tick_of(node.deadline_), now_tick_);
  tick = std::min(tick, now_tick_ | kReach);
  const std::size_t level = level_of(tick ^ now_tick_);
  const std::size_t slot = (tick >> (level * kLevelBits)) % kSlots;
  TimerNode& head = levels_[level].slots[slot];
  node.prev_ = head.prev_;
  node.next_ = &head;
  head.prev_->next_ = &node;
  head.prev_ = &node;
  levels_[level].occupied |= std::uint64_t{1} << slot;
}

void TimerWheel::cascade(std::size_t level) {
  const std::size_t slot = (now_tick_ >> (level * kLevelBits)) % kSlots;
  TimerNode& head = levels_[level].slots[slot];
  levels_[level].occupied &= ~(std::uint64_t{1} << slot);
  TimerNode* node = head.next_;
  head.next_ = &head;
  head.prev_ = &head;
  while (node != &head) {
    TimerNode* following = node->next_;
    place(*node);
    node = following;
  }
}

TimerNode* TimerWheel::pop_due(Instant now) {
  // Floor: a tick is over only when its whole millisecond is.
  const std::uint64_t target =
      now <= start_ ? 0 : static_cast<std::uint64_t>((now - start_) / kTick);
  for (;;) {
    const std::size_t slot = now_tick_ % kSlots;
    const TimerNode& head = levels_[0].slots[slot];
    if (now_tick_ <= target && !slot_empty(head)) {
      TimerNode* node = head.next_;
      node->unlink();
      return node;
    }
    levels_[0].occupied &= ~(std::uint64_t{1} << slot);
    if (now_tick_ >= target) return nullptr;

    // Skips to the next tick at which something can happen.
    const std::uint64_t later = slot + 1 < kSlots ? levels_[0].occupied >> (slot + 1) : 0;
    std::uint64_t next = target;
    if (later != 0) {
      next = now_tick_ + 1 + static_cast<unsigned>(std::countr_zero(later));
    } else if (const Instant wakeup = next_wakeup(); wakeup < now) {
      next = tick_of(wakeup);  // However far it is, in one step: a machine may have slept for days.
    }
    const std::uint64_t previous = now_tick_;
    now_tick_ = std::min(next, target);
    // Entering a new slot of a level: its timers go to the levels below.
    std::size_t level = std::min(level_of(now_tick_ ^ previous), kLevels - 1);
    for (; level > 0; --level) cascade(level);
  }
}

Instant TimerWheel::next_wakeup() const {
  for (std::size_t level = 0; level < kLevels; ++level) {
    const std::uint64_t digit = now_tick_ >> (level * kLevelBits);
    const auto first = static_cast<unsigned>(digit % kSlots);
    std::uint64_t candidates = levels_[level].occupied & (~std::uint64_t{0} << first);
    while (candidates != 0) {
      const auto slot = static_cast<unsigned>(std::countr_zero(candidates));
      candidates &= candidates - 1;
      if (slot_empty(levels_[level].slots[slot])) continue;
      const std::uint64_t tick = (digit - first + slot) << (level * kLevelBits);
      return start_ + kTick * static_cast<std::int64_t>(std::max(tick, now_tick_));
    }
  }
  return kNever;
}

}  // namespace sluice
