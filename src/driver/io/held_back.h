// Sockets that a limit holds back: which of them may go on, and when. Those that were held back
// first go first, so that none waits for ever while others draw on the same limit. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "flow/core/action.h"

namespace sluice::driver {

class HeldBack {
 public:
  void add(flow::TcpId id, Instant at) {
    waiting_.push_back({at, next_++, id});
    std::push_heap(waiting_.begin(), waiting_.end(), later);
  }
  [[nodiscard]] Instant next_wakeup() const {
    return waiting_.empty() ? kNever : waiting_.front().at;
  }
  // Takes one out that is due; some have ended since.
  [[nodiscard]] std::optional<flow::TcpId> take_due(Instant now) {
    if (waiting_.empty() || waiting_.front().at > now) return std::nullopt;
    std::pop_heap(waiting_.begin(), waiting_.end(), later);
    const flow::TcpId id = waiting_.back().id;
    waiting_.pop_back();
    return id;
  }

 private:
  struct Waiting {
    Instant at{};
    std::uint64_t number = 0;
    flow::TcpId id;
  };
  [[nodiscard]] static bool later(const Waiting& a, const Waiting& b) {
    return a.at != b.at ? a.at > b.at : a.number > b.number;
  }

  std::vector<Waiting> waiting_;  // A heap, the next first.
  std::uint64_t next_ = 0;
};

}  // namespace sluice::driver
