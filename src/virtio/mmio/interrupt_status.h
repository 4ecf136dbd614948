// What a virtio-mmio device has to tell its driver: the interrupt status, the generation of its
// configuration, and whether it needs a reset. Devices set these on threads of their own while a
// vCPU reads and acknowledges them; each is one atomic, and there is no lock.
//
// A device sets a bit before it raises its interrupt, and a driver acknowledges before it looks at
// the queues, so that no bit that is set in between is lost: an acknowledgement takes away only the
// bits that it names.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::virtio {

class InterruptStatus {
 public:
  // Virtio 1.2, 4.2.2, InterruptStatus.
  static constexpr std::uint32_t kUsed = 1;
  static constexpr std::uint32_t kConfig = 2;

  void set_used() { bits_.fetch_or(kUsed, std::memory_order_acq_rel); }
  // The generation first: who sees the bit reads the configuration anew, whole.
  void change_config() {
    generation_.fetch_add(1, std::memory_order_acq_rel);
    bits_.fetch_or(kConfig, std::memory_order_acq_rel);
  }
  void require_reset() {
    needs_reset_.store(true, std::memory_order_release);
    change_config();
  }

  [[nodiscard]] std::uint32_t bits() const { return bits_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint32_t generation() const {
    return generation_.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool reset_required() const { return needs_reset_.load(std::memory_order_acquire); }

  void acknowledge(std::uint32_t bits) { bits_.fetch_and(~bits, std::memory_order_acq_rel); }
  // Of a device that has been reset. The generation goes on: a driver must not take the
  // configuration for the one that it read before.
  void clear() {
    needs_reset_.store(false, std::memory_order_release);
    bits_.store(0, std::memory_order_release);
  }

 private:
  std::atomic<std::uint32_t> bits_ = 0;
  std::atomic<std::uint32_t> generation_ = 0;
  std::atomic<bool> needs_reset_ = false;
};

}  // namespace sluice::virtio
