// The events of a run that lives, line by line, by its control socket, until it ends.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

namespace sluice::app {

// What becomes of a line.
enum class Shown : std::uint8_t {
  kGoOn,
  kLast,    // It was the run's last word.
  kNobody,  // Nobody wants more.
};

// `run` is a run's name; empty: the only one. Where the stream breaks off and the run lives, it is
// taken up again, and what is missing is warned of. The error is a sentence.
[[nodiscard]] std::expected<void, std::string> watch_run(
    const std::string& run, const std::function<Shown(std::string_view)>& on_line);

}  // namespace sluice::app
