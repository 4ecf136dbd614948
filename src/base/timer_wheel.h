// Hierarchical timer wheel: arming and cancelling take constant time and no memory.
//
// Five levels of 64 slots; a slot of level n spans 64^n ticks of one millisecond, so the wheel
// reaches 12 days ahead (later deadlines wait in its last slot and are put back). A timer fires
// at or after its deadline, never before. A TimerNode is embedded in its owner, which must not
// move while it is armed. See Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace sluice {

class TimerWheel;

class TimerNode {
 public:
  TimerNode() = default;
  // What fires is told to the owner by this value.
  explicit TimerNode(std::uint64_t owner) : owner_(owner) {}
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;
  ~TimerNode() { unlink(); }

  [[nodiscard]] bool armed() const { return next_ != nullptr; }
  [[nodiscard]] Instant deadline() const { return deadline_; }
  [[nodiscard]] std::uint64_t owner() const { return owner_; }
  void set_owner(std::uint64_t owner) { owner_ = owner; }

 private:
  friend class TimerWheel;
  void unlink() {
    if (next_ == nullptr) return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = nullptr;
    prev_ = nullptr;
  }

  TimerNode* next_ = nullptr;
  TimerNode* prev_ = nullptr;
  Instant deadline_{};
  std::uint64_t owner_ = 0;
};

class TimerWheel {
 public:
  explicit TimerWheel(Instant start);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  ~TimerWheel();

  // Arms or re-arms.
  void arm(TimerNode& node, Instant deadline);
  void cancel(TimerNode& node);

  // Disarms one timer that is due at `now` and returns it; nullptr when none is. Call until then.
  [[nodiscard]] TimerNode* pop_due(Instant now);

  // When to call pop_due() next: never later than the earliest deadline's tick, at most one slot
  // of its level earlier. kNever when no timer is armed.
  [[nodiscard]] Instant next_wakeup() const;

 private:
  static constexpr unsigned kLevelBits = 6;
  static constexpr std::size_t kSlots = 1U << kLevelBits;
  static constexpr std::size_t kLevels = 5;

  struct Level {
    std::array<TimerNode, kSlots> slots;  // List heads.
    std::uint64_t occupied = 0;           // Bit i: slot i may hold timers.
  };

  // Of the highest six-bit digit in which two ticks differ, given their exclusive or.
  [[nodiscard]] static std::size_t level_of(std::uint64_t difference) {
    return difference == 0 ? 0 : static_cast<unsigned>(std::bit_width(difference) - 1) / kLevelBits;
  }
  void place(TimerNode& node);
  void cascade(std::size_t level);
  [[nodiscard]] bool slot_empty(const TimerNode& head) const { return head.next_ == &head; }
  [[nodiscard]] std::uint64_t tick_of(Instant t) const;

  Instant start_;
  std::uint64_t now_tick_ = 0;  // Every timer before this tick has been handed out.
  std::array<Level, kLevels> levels_;
};

}  // namespace sluice
