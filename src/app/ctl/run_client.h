// A run that is spoken to by its control socket: what `ctl`, `observe` and `top` have in common.
#pragma once

#include <expected>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "control/connection.h"
#include "control/request.h"
#include "telemetry/json_line.h"

namespace sluice::app {

struct Asked {
  std::string last;       // The answer's last line.
  nlohmann::json answer;  // The same.
  [[nodiscard]] bool ok() const { return answer.value("ok", false); }
};
using OnItem = std::function<void(std::string_view)>;

// A line for the socket; `fill` puts the members behind the verb.
template <typename Fill>
[[nodiscard]] std::string request_line(control::Verb verb, const Fill& fill) {
  fmt::memory_buffer line;
  telemetry::JsonLine members(line);
  members.text("do", to_string(verb));
  fill(members);
  members.end_line();
  return fmt::to_string(line);
}
[[nodiscard]] std::string request_line(control::Verb verb);

// Sends a request and reads its answer; `on_item` gets the lines before the last. The error is a
// sentence: the run is gone, or does not answer.
[[nodiscard]] std::expected<Asked, std::string> ask(
    control::Connection& run, const std::string& line,
    const OnItem& on_item = [](std::string_view) {});

// All flows that live, page by page.
[[nodiscard]] std::expected<Asked, std::string> ask_pages(control::Connection& run,
                                                          control::Verb verb,
                                                          const OnItem& on_item);

// Why a request was not carried out, for a person.
[[nodiscard]] std::string message_of(const Asked& asked);

// The run of this name; of an empty one the only run that there is. The error is a sentence.
[[nodiscard]] std::expected<control::Connection, std::string> connect_to_run(
    const std::string& wanted);

}  // namespace sluice::app
