// Operations at a rate, without coordinated omission: operation i is due at start + i / rate
// whatever became of those before it, and its latency counts from there. A client that falls
// behind, because the server stalls or every slot is busy, keeps the schedule: what it could not
// start in time starts late, and the waiting is part of the latency. The service time, from the
// actual start, is kept beside it.
//
// Pure: time is an argument and sockets are the caller's. A slot is whatever runs one operation at
// a time, a flow or a connection.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "clients/histogram.h"

namespace sluice::bench {

class Schedule {
 public:
  // `rate` operations a second, 1 to 10^9.
  Schedule(std::uint64_t start_ns, std::uint64_t rate) : start_ns_(start_ns), rate_(rate) {}

  [[nodiscard]] std::uint64_t due_ns(std::uint64_t operation) const {
    constexpr std::uint64_t kSecond = 1'000'000'000;
    // Whole seconds apart, so that no product overflows.
    return start_ns_ + operation / rate_ * kSecond + operation % rate_ * kSecond / rate_;
  }
  [[nodiscard]] std::uint64_t start_ns() const { return start_ns_; }
  [[nodiscard]] std::uint64_t rate() const { return rate_; }

 private:
  std::uint64_t start_ns_;
  std::uint64_t rate_;
};

// Operations that did not complete, by what became of them.
struct Failures {
  std::uint64_t refused = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t reset = 0;
  std::uint64_t other = 0;

  [[nodiscard]] std::uint64_t total() const { return refused + timed_out + reset + other; }
  void count(int error) {
    if (error == ECONNREFUSED) {
      ++refused;
    } else if (error == ETIMEDOUT) {
      ++timed_out;
    } else if (error == ECONNRESET || error == EPIPE) {
      ++reset;
    } else {
      ++other;
    }
  }
};

class PacedWork {
 public:
  // An operation that has not ended `timeout_ns` after its actual start is given up.
  PacedWork(const Schedule& schedule, std::uint64_t operations, std::size_t slots,
            std::uint64_t timeout_ns)
      : schedule_(schedule), operations_(operations), timeout_ns_(timeout_ns), slots_(slots) {
    for (std::size_t i = 0; i < slots; ++i) free_.push_back(i);
  }

  [[nodiscard]] bool done() const { return next_ == operations_ && free_.size() == slots_.size(); }

  // The slot that is to start the next operation now; none when none is due or all are busy.
  // Slots take turns.
  [[nodiscard]] std::optional<std::size_t> take(std::uint64_t now_ns) {
    if (next_ == operations_ || free_.empty()) return std::nullopt;
    const std::uint64_t due = schedule_.due_ns(next_);
    if (now_ns < due) return std::nullopt;
    const std::size_t slot = free_.front();
    free_.pop_front();
    slots_[slot] = {.due_ns = due, .started_ns = now_ns, .operation = next_, .busy = true};
    running_.push_back({slot, next_});
    latest_start_ns_ = std::max(latest_start_ns_, now_ns - due);
    ++next_;
    return slot;
  }

  void finish(std::size_t slot, std::uint64_t now_ns) {
    latency_.record(now_ns - slots_[slot].due_ns);
    service_.record(now_ns - slots_[slot].started_ns);
    ended_ns_ = now_ns;
    release(slot);
  }

  void fail(std::size_t slot, int error) {
    failures_.count(error);
    release(slot);
  }

  // A slot whose operation was just given up, for the caller to clean up. Ask until there is none.
  [[nodiscard]] std::optional<std::size_t> expire(std::uint64_t now_ns) {
    drop_ended();
    if (running_.empty()) return std::nullopt;
    const std::size_t slot = running_.front().slot;
    if (now_ns < slots_[slot].started_ns + timeout_ns_) return std::nullopt;
    fail(slot, ETIMEDOUT);
    return slot;
  }

  // Until something is due: a start or a time-out. The caller waits for its sockets that long.
  [[nodiscard]] std::uint64_t wait_ns(std::uint64_t now_ns) {
    drop_ended();
    std::uint64_t until = UINT64_MAX;
    if (next_ < operations_ && !free_.empty()) until = schedule_.due_ns(next_);
    if (!running_.empty()) {
      until = std::min(until, slots_[running_.front().slot].started_ns + timeout_ns_);
    }
    return until > now_ns ? until - now_ns : 0;
  }

  [[nodiscard]] const Histogram& latency() const { return latency_; }
  [[nodiscard]] const Histogram& service() const { return service_; }
  [[nodiscard]] const Failures& failures() const { return failures_; }
  // How late the latest operation started: zero when a slot was always free in time.
  [[nodiscard]] std::uint64_t latest_start_ns() const { return latest_start_ns_; }
  // From the start to the last answer, but not less than the schedule's own length, so that the
  // rate achieved does not exceed the rate offered only because the last interval is left out.
  [[nodiscard]] std::uint64_t elapsed_ns() const {
    return std::max(ended_ns_, schedule_.due_ns(operations_)) - schedule_.start_ns();
  }
  [[nodiscard]] std::uint64_t rate() const { return schedule_.rate(); }

 private:
  struct Slot {
    std::uint64_t due_ns = 0;
    std::uint64_t started_ns = 0;
    std::uint64_t operation = 0;
    bool busy = false;
  };
  struct Running {
    std::size_t slot = 0;
    std::uint64_t operation = 0;
  };

  void release(std::size_t slot) {
    slots_[slot].busy = false;
    free_.push_back(slot);
  }

  // In the order of their starts, which is that of their time-outs.
  void drop_ended() {
    while (!running_.empty()) {
      const Slot& slot = slots_[running_.front().slot];
      if (slot.busy && slot.operation == running_.front().operation) return;
      running_.pop_front();
    }
  }

  Schedule schedule_;
  std::uint64_t operations_;
  std::uint64_t timeout_ns_;
  std::vector<Slot> slots_;
  std::deque<std::size_t> free_;
  std::deque<Running> running_;
  std::uint64_t next_ = 0;
  std::uint64_t latest_start_ns_ = 0;
  std::uint64_t ended_ns_ = 0;
  Histogram latency_;
  Histogram service_;
  Failures failures_;
};

}  // namespace sluice::bench
