// What a virtio-mmio device has to tell its driver: the interrupt status, the generation of its
// configuration, and whether it needs a reset. Devices set these on threads of their own while a
// vCPU reads and acknowledges them; each is one atomic, and there is no lock.
//
// A device sets a bit before it raises its interrupt, and a driver acknowledges before it looks at
// the queues, so that no bit that is set in between is lost: an acknowledgement takes away only the
// bits that it names.
//
// The two words may be those that the driver itself reads, in memory that it shares with us.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::virtio {

class InterruptStatus {
 public:
  // Virtio 1.2, 4.2.2, InterruptStatus.
  static constexpr std::uint32_t kUsed = 1;
  static constexpr std::uint32_t kConfig = 2;

  InterruptStatus() = default;
  // Words of somebody else, who outlives this.
  InterruptStatus(std::uint32_t& bits, std::uint32_t& generation)
      : bits_(bits), generation_(generation) {}
  InterruptStatus(const InterruptStatus&) = delete;
  InterruptStatus& operator=(const InterruptStatus&) = delete;

  // From here on kUsed is always shown. That costs a driver a look at its queues when only the
  // configuration changed, and saves us its acknowledgements.
  void keep_used() {
    kept_ = kUsed;
    set_used();
  }

  void set_used() { bits_.fetch_or(kUsed); }
  // The generation first: who sees the bit reads the configuration anew, whole.
  void change_config() {
    generation_.fetch_add(1);
    bits_.fetch_or(kConfig);
  }
  void require_reset() {
    needs_reset_.store(true);
    change_config();
  }

  [[nodiscard]] std::uint32_t bits() const { return bits_.load(); }
  [[nodiscard]] std::uint32_t generation() const { return generation_.load(); }
  [[nodiscard]] bool reset_required() const { return needs_reset_.load(); }

  void acknowledge(std::uint32_t bits) { bits_.fetch_and(~bits | kept_); }
  // Of a device that has been reset. The generation goes on: a driver must not take the
  // configuration for the one that it read before.
  void clear() {
    needs_reset_.store(false);
    bits_.store(kept_);
  }

 private:
  std::uint32_t own_bits_ = 0;
  std::uint32_t own_generation_ = 0;
  std::atomic_ref<std::uint32_t> bits_{own_bits_};
  std::atomic_ref<std::uint32_t> generation_{own_generation_};
  std::atomic<bool> needs_reset_ = false;
  std::uint32_t kept_ = 0;  // Set before the driver is there.
};

}  // namespace sluice::virtio
