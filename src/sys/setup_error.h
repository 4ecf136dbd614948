// A step of the set-up that failed, in words for the person who started us. Made in the guest's
// process or in ours; it travels between them as text (guest_channel.h).
#pragma once

#include <string>

#include "sys/sys_error.h"

namespace sluice::sys {

struct SetupError {
  std::string step;  // What was being done: "/dev/net/tun", "add address 10.0.2.15/24".
  int error = 0;     // errno; 0 when the step says it all.
  std::string hint;  // How to mend it; may be empty.

  // "/dev/net/tun: Permission denied; as root run: chmod 666 /dev/net/tun"
  [[nodiscard]] std::string describe() const {
    std::string text = step;
    if (error != 0) text += ": " + errno_text(error);
    if (!hint.empty()) text += "; " + hint;
    return text;
  }
};

}  // namespace sluice::sys
