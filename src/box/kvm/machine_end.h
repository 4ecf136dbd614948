// Why a virtual machine runs no more.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::box {

enum class EndKind : std::uint8_t {
  kPoweredOff,   // By its kernel: reboot(RB_POWER_OFF).
  kReset,        // By its kernel: a reboot.
  kPanicked,     // The same, and its kernel has said on the serial port that it panics.
  kTripleFault,  // The processor gave up; the kernel's mistake.
  kFailed,       // KVM cannot go on.
  kStopped,      // By us.
};

struct MachineEnd {
  EndKind kind = EndKind::kStopped;
  std::string words;  // A sentence's beginning for a person: "the guest powered itself off".
};

}  // namespace sluice::box
