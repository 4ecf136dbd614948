#include "sys/setup_error.h"

#include "sys/sys_error.h"

namespace sluice::sys {

std::string SetupError::describe() const {
  std::string text = step;
  if (error != 0) text += ": " + errno_text(error);
  if (!hint.empty()) text += "; " + hint;
  return text;
}

}  // namespace sluice::sys
