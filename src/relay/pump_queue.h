// The pairs that events came for, or that have more to do: each once, in the order in which they
// became ready. An event is noted and its pair queued; all are pumped once a turn, each up to its
// share, so that none keeps the others waiting. Not thread-safe.
#pragma once

#include <vector>

#include "base/slab.h"

namespace sluice::relay {

// `Owner` is what holds a pair, in a slab, and has a `bool queued` for us.
template <typename Owner>
class PumpQueue {
 public:
  void add(SlabHandle handle, Owner& owner) {
    if (owner.queued) return;
    owner.queued = true;
    ready_.push_back(handle);
  }

  // Calls `pump(handle, owner)` for each that is queued and still in the slab. One that is added
  // meanwhile waits for the next run, and any may be erased.
  template <typename Pump>
  void run(Slab<Owner>& owners, Pump&& pump) {
    running_.swap(ready_);
    for (const SlabHandle handle : running_) {
      Owner* const owner = owners.find(handle);
      if (owner == nullptr) continue;
      owner->queued = false;
      pump(handle, *owner);
    }
    running_.clear();
  }

  [[nodiscard]] bool empty() const { return ready_.empty(); }

 private:
  std::vector<SlabHandle> ready_;
  std::vector<SlabHandle> running_;  // Those of ready_ that run now; kept for its memory.
};

}  // namespace sluice::relay
