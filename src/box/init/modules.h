// Loads the modules that the image brought (box/image).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "box/init/step.h"

namespace sluice::box {

// Those that `folder`/order names, one a line, in that order; none where there is no such file.
[[nodiscard]] Step load_modules(const std::string& folder);

// The lines of such a file. Pure.
[[nodiscard]] std::vector<std::string> lines_of(std::string_view text);

}  // namespace sluice::box
