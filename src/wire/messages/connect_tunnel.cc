#include "wire/messages/connect_tunnel.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <string>

namespace sluice::wire {
namespace {

using Kind = ConnectAnswer::Kind;

[[nodiscard]] std::string_view text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[nodiscard]] bool is_digit(char c) { return c >= '0' && c <= '9'; }

// RFC 9112, 4: "HTTP/1.1 200 Connection established"; the words may be missing, with their space.
[[nodiscard]] std::optional<unsigned> status_of(std::string_view line) {
  constexpr std::string_view kStart = "HTTP/1.";
  constexpr std::size_t kShortest = 12;  // "HTTP/1.1 200"
  if (line.size() < kShortest || !line.starts_with(kStart) || !is_digit(line[7]) ||
      line[8] != ' ' || (line.size() > kShortest && line[kShortest] != ' ')) {
    return std::nullopt;
  }
  unsigned status = 0;
  for (const char c : line.substr(9, 3)) {
    if (!is_digit(c)) return std::nullopt;
    status = status * 10 + static_cast<unsigned>(c - '0');
  }
  return status >= 100 ? std::optional(status) : std::nullopt;
}

// Nothing that begins otherwise becomes an answer.
[[nodiscard]] bool may_become_one(std::string_view text) {
  constexpr std::string_view kStart = "HTTP/1.";
  return text.substr(0, kStart.size()) == kStart.substr(0, text.size());
}

}  // namespace

std::vector<std::uint8_t> make_connect_request(std::string_view host, Port port) {
  const bool v6 = host.find(':') != std::string_view::npos;
  const std::string authority =
      v6 ? fmt::format("[{}]:{}", host, port.value) : fmt::format("{}:{}", host, port.value);
  const std::string text = fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n", authority);
  return {text.begin(), text.end()};
}

ConnectAnswer read_connect_answer(ByteView bytes) {
  const std::string_view all = text_of(bytes.first(std::min(bytes.size(), kConnectAnswerMax)));
  std::size_t begin = 0;
  while (true) {
    const std::string_view rest = all.substr(begin);
    if (!may_become_one(rest)) return {.kind = Kind::kBad};
    const std::size_t end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) {
      return {.kind = bytes.size() >= kConnectAnswerMax ? Kind::kBad : Kind::kNeedMore};
    }
    const auto status = status_of(rest.substr(0, rest.find("\r\n")));
    if (!status) return {.kind = Kind::kBad};
    begin += end + 4;
    constexpr unsigned kFinal = 200;
    constexpr unsigned kSwitching = 101;
    constexpr unsigned kEndOfSuccess = 300;
    if (*status == kSwitching) return {.kind = Kind::kBad, .status = *status};
    if (*status < kFinal) continue;
    if (*status >= kEndOfSuccess) return {.kind = Kind::kRefused, .status = *status};
    return {.kind = Kind::kOpen, .status = *status, .size = begin};
  }
}

}  // namespace sluice::wire
