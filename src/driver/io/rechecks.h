// Things that wait for what nothing tells of: each is looked at again and again, every time after
// twice the pause of the time before. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/time.h"

namespace sluice::driver {

template <typename Thing>
class Rechecks {
 public:
  Rechecks(Duration first_pause, Duration longest_pause)
      : first_(first_pause), longest_(longest_pause) {}

  [[nodiscard]] bool empty() const { return waiting_.empty(); }
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }
  // When to call look(); kNever when nothing waits.
  [[nodiscard]] Instant next_wakeup() const { return next_; }

  void add(Thing thing, Instant now) {
    waiting_.push_back({std::move(thing), now + first_, first_});
    next_ = std::min(next_, now + first_);
  }
  // Asks `is_done(thing)` of each whose time has come, in the order in which they were added. Those
  // that are wait no longer.
  template <typename IsDone>
  void look(Instant now, IsDone&& is_done) {
    if (now < next_) return;
    next_ = kNever;
    std::erase_if(waiting_, [&](Waiting& one) {
      if (one.look_at <= now) {
        if (is_done(one.thing)) return true;
        one.pause = std::min(2 * one.pause, longest_);
        one.look_at = now + one.pause;
      }
      next_ = std::min(next_, one.look_at);
      return false;
    });
  }
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    for (Waiting& one : waiting_) visit(one.thing);
  }

 private:
  struct Waiting {
    Thing thing;
    Instant look_at{};
    Duration pause{};
  };

  Duration first_;
  Duration longest_;
  std::vector<Waiting> waiting_;
  Instant next_ = kNever;
};

}  // namespace sluice::driver
