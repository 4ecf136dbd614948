// What the guest's open windows count on of the driver's spill, over all flows: their sum is never
// more than the spill has free, however many hosts stand still. One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace sluice::flow {

class SpillBudget {
 public:
  // The spill hands out blocks, so whatever it takes may cost this much more than its bytes.
  static constexpr std::uint32_t kSlack = 32 * 1024;
  // A flow may be promised this much of the spill beyond what its host socket takes. The overshoot
  // is wanted: the kernel grows a socket's send buffer only after a write found it full.
  static constexpr std::size_t kShareMax = 128 * 1024;

  // What the spill may still take.
  void set_free(std::size_t bytes) { free_ = bytes; }

  // For a flow whose host has taken all so far, and whose window counts on `own` now. An eighth is
  // kept for hosts that take less than their kernel had room for.
  [[nodiscard]] std::size_t share(std::uint32_t own) const {
    const std::size_t usable = free_ - free_ / 8;
    const std::size_t gone = promised_ - own + reserved_ + kSlack;
    return usable > gone ? std::min((usable - gone) / kSharesInAll, kShareMax) : 0;
  }

  // Replaces what a window counts on, `own`, by `beyond`: the bytes that it is open for and its
  // host may not take.
  void promise(std::uint32_t& own, std::uint32_t beyond) {
    const std::uint32_t promised = beyond == 0 ? 0 : beyond + kSlack;
    promised_ += promised;
    promised_ -= own;
    own = promised;
  }

  // For a stash that the driver has yet to carry out, because it may count anew what is free before
  // it comes to that one. False where there is no room.
  [[nodiscard]] bool reserve(std::size_t bytes) {
    if (free_ < reserved_ + bytes + kSlack) return false;
    reserved_ += bytes + kSlack;
    return true;
  }
  void release(std::size_t bytes) { reserved_ -= std::min(reserved_, bytes + kSlack); }

 private:
  // A share is this part of what nobody was promised yet: those who come late get less, and there
  // is always something left.
  static constexpr std::size_t kSharesInAll = 512;

  std::size_t free_ = 64 * 1024 * 1024;
  std::size_t reserved_ = 0;
  std::size_t promised_ = 0;
};

}  // namespace sluice::flow
