#include "wire/first_bytes/refusal_answers.h"

#include <fmt/core.h>

#include <string>

#include "base/unreachable.h"

namespace sluice::wire {
namespace {

constexpr std::size_t kLineMax = 512;

void append_line(std::string& text, std::string_view label, std::string_view value) {
  if (value.empty()) return;
  text += label;
  for (const char c : value.substr(0, kLineMax)) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  text += '\n';
}

[[nodiscard]] std::string_view phrase_of(RefusalStatus status) {
  switch (status) {
    case RefusalStatus::kForbidden: return "Forbidden";
    case RefusalStatus::kTooManyRequests: return "Too Many Requests";
    case RefusalStatus::kBadGateway: return "Bad Gateway";
  }
  unreachable("a status of a refusal outside its enum");
}

}  // namespace

std::vector<std::uint8_t> make_refusal_page(const RefusalPage& page) {
  std::string body;
  append_line(body, "sluice: ", page.what);
  append_line(body, "why:  ", page.why);
  append_line(body, "rule: ", page.rule);
  append_line(body, "note: ", page.note);
  if (page.number != 0) body += fmt::format("see http://sluice.internal/why/{}\n", page.number);
  const std::string answer = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n"
      "Cache-Control: no-store\r\nConnection: close\r\n\r\n{}",
      static_cast<unsigned>(page.status), phrase_of(page.status), body.size(), body);
  return {answer.begin(), answer.end()};
}

}  // namespace sluice::wire
