// The kernel's command line for a box.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::box {

enum class KernelWords : std::uint8_t {
  kFew,  // Errors and a panic: each character costs an exit of the processor.
  kAll,  // From the first line on.
};

struct CommandLinePlan {
  KernelWords words = KernelWords::kFew;
  std::string extra = {};  // Behind ours, so that it has the last word.
};

// A panic ends the machine at once, and early messages go to the serial port.
[[nodiscard]] std::string command_line(const CommandLinePlan& plan);

}  // namespace sluice::box
