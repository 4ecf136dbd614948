#include "host/setup_error.h"

#include "host/sys_error.h"

namespace sluice::host {

std::string SetupError::describe() const {
  std::string text = step;
  if (error != 0) text += ": " + errno_text(error);
  if (!hint.empty()) text += "; " + hint;
  return text;
}

}  // namespace sluice::host
