#include "driver/fast_path/held_resets.h"

#include <algorithm>
#include <utility>

namespace sluice::driver {
namespace {

// Packets on a loopback wait for a thread of the kernel's at worst, which takes milliseconds on a
// busy machine.
constexpr Duration kPatience = std::chrono::milliseconds(250);
constexpr Duration kPauseFirst = std::chrono::milliseconds(1);
constexpr Duration kPauseMax = std::chrono::milliseconds(32);
constexpr std::size_t kWaitingMax = 4096;

}  // namespace

bool HeldResets::add(Reset&& reset, Instant now) {
  if (waiting_.size() == kWaitingMax) return false;
  waiting_.push_back({.reset = std::move(reset),
                      .until = now + kPatience,
                      .look_at = now + kPauseFirst,
                      .pause = kPauseFirst});
  next_ = std::min(next_, waiting_.back().look_at);
  return true;
}

std::vector<HeldResets::Reset> HeldResets::take_due(Instant now, const HasAll& has_all) {
  std::vector<Reset> due;
  if (now < next_) return due;
  next_ = kNever;
  std::erase_if(waiting_, [&](Waiting& one) {
    const bool looks = one.look_at <= now;
    if (looks && (now >= one.until || has_all(one.reset.flow, one.reset.sequence))) {
      due.push_back(std::move(one.reset));
      return true;
    }
    if (looks) {
      one.pause = std::min(2 * one.pause, kPauseMax);
      one.look_at = now + one.pause;
    }
    next_ = std::min(next_, one.look_at);
    return false;
  });
  return due;
}

}  // namespace sluice::driver
