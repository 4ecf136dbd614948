// One measurement of bench/box: what answers the guest's doorbell, and which of KVM's bindings and
// which way of working are used for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

namespace sluice::bench {

enum class Answer : std::uint8_t {
  kBell,     // A thread that waits for the doorbell's eventfd and raises the interrupt: no device.
  kNet,      // DirectNet, whose rings are the engine's thread's.
  kHandOff,  // DirectNet whose rings are a device thread's: two queues lie between it and an
             // engine.
};

struct BellCase {
  std::string guest;  // The program, an ELF file.
  Answer answer = Answer::kNet;
  bool ioeventfd = true;
  bool irqfd = true;
  bool registers = true;     // Mapped into the guest for reading.
  bool acknowledge = false;  // By the interrupt handler, as a driver does it.
  bool lock = false;   // One mutex around the engine's turn, and around whoever pulses a line.
  bool each = false;   // A write to the link for each frame, not for each burst.
  bool pinned = true;  // Guest and engine, each to a processor of its own.
  std::uint64_t rounds = 10'000;
  std::uint64_t burst = 1;  // Frames for each doorbell.
};

struct BellResult {
  std::vector<std::uint64_t> nanoseconds;  // Of each round, sorted.
  std::uint64_t doorbells = 0;             // That the guest rang in its rounds, of both queues.
  std::uint64_t notify_exits = 0;          // Of these, those that came out to the monitor.
  std::uint64_t register_exits = 0;        // Other accesses of registers that did.
  std::uint64_t answer_ns = 0;  // The processor's time of who answers; not of a hand-off.
};

// The error is a sentence's beginning.
[[nodiscard]] std::expected<BellResult, std::string> run_case(const BellCase& wanted);

}  // namespace sluice::bench
