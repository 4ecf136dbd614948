// What a client of the control socket may send: any bytes, in any pieces. Lines are cut and read as
// the server does it; whatever they are, each has one answer, which is a whole line of JSON.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "control/answer.h"
#include "control/request.h"

namespace {

using namespace sluice;

void check(bool holds) {
  if (!holds) std::abort();
}

void check_answer(const fmt::memory_buffer& out) {
  const std::string_view text(out.data(), out.size());
  check(text.ends_with('\n') && text.find('\n') == text.size() - 1);
  check(nlohmann::json::accept(text.substr(0, text.size() - 1)));
}

void serve(std::string_view line) {
  fmt::memory_buffer out;
  const auto request = control::parse_request(line);
  if (request) {
    check(!to_string(request->verb).empty());
    control::Answer(out, request->id).done([&](telemetry::JsonLine& answer) {
      answer.text("what", request->what);
    });
  } else {
    check(!request.error().message.empty());
    control::Answer(out, request.error().id).fail(request.error().error, request.error().message);
  }
  check_answer(out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    serve(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return 0;
}
