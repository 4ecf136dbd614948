// How often, and for what, vCPUs came back from KVM. A vCPU's thread counts, anyone may read.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace sluice::box {

enum class ExitKind : std::uint8_t {
  kMmio,         // An access to a device's registers.
  kPort,         // An access to an I/O port, or a string of them.
  kHalt,         // Only where KVM has no interrupt controller of its own.
  kInterrupted,  // A signal, or a vCPU that is to stop.
  kOther,
};
inline constexpr std::size_t kExitKinds = 5;

class ExitCounts {
 public:
  void count(ExitKind kind) { at(kind).fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t of(ExitKind kind) const {
    return counts_[static_cast<std::size_t>(kind)].load(std::memory_order_relaxed);
  }

 private:
  [[nodiscard]] std::atomic<std::uint64_t>& at(ExitKind kind) {
    return counts_[static_cast<std::size_t>(kind)];
  }
  std::array<std::atomic<std::uint64_t>, kExitKinds> counts_{};
};

}  // namespace sluice::box
