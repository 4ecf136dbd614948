#include "driver/fast_path/held_resets.h"

#include <utility>

namespace sluice::driver {
namespace {

// Packets on a loopback wait for a thread of the kernel's at worst, which takes milliseconds on a
// busy machine.
constexpr Duration kPatience = std::chrono::milliseconds(250);
constexpr std::size_t kWaitingMax = 4096;

}  // namespace

bool HeldResets::add(Reset&& reset, Instant now) {
  if (waiting_.size() == kWaitingMax) return false;
  waiting_.add({.reset = std::move(reset), .until = now + kPatience}, now);
  return true;
}

std::vector<HeldResets::Reset> HeldResets::take_due(Instant now, const HasAll& has_all) {
  std::vector<Reset> due;
  waiting_.look(now, [&](Waiting& one) {
    if (now < one.until && !has_all(one.reset.flow, one.reset.sequence)) return false;
    due.push_back(std::move(one.reset));
    return true;
  });
  return due;
}

}  // namespace sluice::driver
