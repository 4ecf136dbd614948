// What --help and --version print.
#pragma once

#include <string>

namespace sluice::app {

[[nodiscard]] std::string main_help();
[[nodiscard]] std::string run_help();
[[nodiscard]] std::string version_text();

}  // namespace sluice::app
