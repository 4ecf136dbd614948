// What the page asks for in the body of a request: an object of JSON. Bounded by whoever gathers
// the body; read without recursion.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::web {

// A longer body is none.
inline constexpr std::size_t kBodyMax = 64 * 1024;

// {"run":"k3f9wa","do":"kill","flow":"…"}: a request of the control socket (control/request.h), and
// to whom it goes.
struct RunRequest {
  std::string run;
  std::string line;  // As the run gets it, with its newline.
  // What the page wants remembered beyond the run's life, if the run agrees: its scope is "always".
  bool always = false;
};

// The error is a sentence.
[[nodiscard]] std::expected<RunRequest, std::string> read_run_request(std::string_view body);
// {"token":"…"}; empty: there is none.
[[nodiscard]] std::string read_token(std::string_view body);
// {"names":["…"]}, at most kNamesMax of them.
inline constexpr std::size_t kNamesMax = 512;
[[nodiscard]] std::expected<std::vector<std::string>, std::string> read_names(
    std::string_view body);

// Whether it can be the name of a run (telemetry/events/run_id.h).
[[nodiscard]] bool is_run_name(std::string_view text);

}  // namespace sluice::web
