// What a client of the control socket may send: any bytes, in any pieces. Lines are cut and read as
// the server does it; whatever they are, each has one answer, which is a whole line of JSON.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "control/answer.h"
#include "control/draft_text.h"
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

// A policy that was understood is written as it is read again.
void read_draft(std::string_view text) {
  control::DraftReader reader;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!reader.read(line)) return;
  }
  const auto draft = reader.finish();
  if (!draft) return;
  const std::vector<std::string> lines = control::draft_lines(*draft);
  control::DraftReader again;
  for (const std::string& line : lines) check(again.read(line).has_value());
  check(control::draft_lines(again.finish().value()) == lines);
}

void serve(std::string_view line) {
  fmt::memory_buffer out;
  const auto request = control::parse_request(line);
  if (request) {
    check(!to_string(request->verb).empty());
    if (request->verb == control::Verb::kReload) read_draft(request->what);
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
