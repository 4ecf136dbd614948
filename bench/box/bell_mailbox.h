// What the hand-made guest of bench/box and the program around it tell each other, in the guest's
// memory, and where that and the guest's rings lie. Both sides are compiled with this header.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::bench {

// Guest-physical addresses, which are the guest's linear ones as well. Its program is at 2 MiB.
inline constexpr std::uint64_t kBellMailbox = 0x40'0000;
inline constexpr std::uint64_t kBellKernelStack = 0x5e'0000;  // Both grow down.
inline constexpr std::uint64_t kBellUserStack = 0x5f'0000;
inline constexpr std::uint64_t kBellRings = 0x60'0000;  // 64 KiB for each queue.
inline constexpr std::uint64_t kBellBuffers = 0x64'0000;
inline constexpr std::uint64_t kBellMemory = std::uint64_t{64} << 20;

inline constexpr std::size_t kBellRoundsMax = 65'536;
inline constexpr std::uint32_t kBellRingSize = 64;
inline constexpr std::uint32_t kBellBurstMax = 16;
inline constexpr std::uint32_t kBellFrameBytes = 64;

enum class BellError : std::uint64_t { kNone, kFault, kDevice, kSilence };

// Each word is written by one side, and read by the other only after the word that tells of it.
struct BellMailbox {
  // The program's, before the guest runs.
  volatile std::uint64_t registers;   // Of the device: slot 0.
  volatile std::uint64_t has_queues;  // It is a network device; otherwise there is a bell alone.
  volatile std::uint64_t
      acknowledge;  // The handler reads the status and acknowledges, as a driver.
  volatile std::uint64_t rounds;
  volatile std::uint64_t burst;  // Frames for each doorbell.
  volatile std::uint64_t end_port;
  volatile std::uint64_t end_value;
  volatile std::uint64_t patience;  // Ticks of the TSC after which an answer counts as lost.
  // The guest is set up, and goes on when it may.
  volatile std::uint64_t ready;
  volatile std::uint64_t go;
  // The guest's.
  volatile std::uint64_t interrupts;
  volatile std::uint64_t error;         // A BellError.
  volatile std::uint64_t fault[2];      // Words of the stack of an exception.
  volatile std::uint64_t doorbells[2];  // Of each queue.
  volatile std::uint64_t done;          // Rounds.
  volatile std::uint64_t ticks[kBellRoundsMax];
};

}  // namespace sluice::bench
