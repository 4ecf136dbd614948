#include "wire/first_bytes/http_head.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "wire/address.h"
#include "wire/first_bytes/host_name.h"

namespace sluice::wire {
namespace {

using Text = std::string_view;

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
// RFC 9110, 5.6.2
constexpr bool is_token_character(char c) {
  constexpr Text kMarks = "!#$%&'*+-.^_`|~";
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || kMarks.find(c) != Text::npos;
}
constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

[[nodiscard]] bool is_token(Text text) {
  return !text.empty() && std::ranges::all_of(text, is_token_character);
}
[[nodiscard]] bool equal(Text a, Text b) { return std::ranges::equal(a, b, {}, lower, lower); }
[[nodiscard]] Text trimmed(Text text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}
[[nodiscard]] Text text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Of a Host field, or of a target that names one.
struct Authority {
  std::optional<DomainName> name;
  IpAddress address;  // Where it has no name.
  std::uint32_t port = 0;
  friend bool operator==(const Authority&, const Authority&) = default;
};

[[nodiscard]] std::optional<Authority> read_authority(Text text) {
  Authority authority;
  const bool bracket = text.starts_with('[');
  const std::size_t from = bracket ? text.find(']') : 0;
  if (from == Text::npos) return std::nullopt;
  if (const std::size_t colon = text.find(':', from); colon != Text::npos) {
    const Text port = text.substr(colon + 1);
    if (!std::ranges::all_of(port, is_digit) || port.size() > 5) return std::nullopt;
    std::from_chars(port.data(), port.data() + port.size(), authority.port);
    if (authority.port > 0xffff) return std::nullopt;
    text = text.substr(0, colon);
  }
  if (!bracket) authority.name = host_name_from_text(text);
  if (authority.name) return authority;
  if (bracket && (!text.ends_with(']') || text.size() < 2)) return std::nullopt;
  const auto address = parse_ip(bracket ? text.substr(1, text.size() - 2) : text);
  if (!address || address->is_v4() == bracket) return std::nullopt;
  authority.address = *address;
  return authority;
}

// Reads a head line by line, each of which ends with CR LF and has neither within.
class HeadReader {
 public:
  explicit HeadReader(Text text) : text_(text) {}

  [[nodiscard]] HttpHead read() {
    // RFC 9112, 2.2: an empty line of an older client, behind the body before, is ignored.
    if (text_.starts_with("\r\n")) text_.remove_prefix(2);
    read_request_line();
    while (head_.fault == HttpFault::kNone) {
      const auto line = next_line();
      if (!line) return {.fault = HttpFault::kSyntax};
      if (line->empty()) break;
      read_field(*line);
    }
    if (head_.fault == HttpFault::kNone && !text_.empty()) return {.fault = HttpFault::kSyntax};
    if (head_.fault == HttpFault::kNone) settle();
    if (head_.fault != HttpFault::kNone) return {.fault = head_.fault};
    return head_;
  }

 private:
  void fail(HttpFault fault) {
    if (head_.fault == HttpFault::kNone) head_.fault = fault;
  }
  [[nodiscard]] std::optional<Text> next_line() {
    const std::size_t end = text_.find('\r');
    if (end == Text::npos || text_.substr(end, 2) != "\r\n") return std::nullopt;
    const Text line = text_.substr(0, end);
    text_.remove_prefix(end + 2);
    if (std::ranges::any_of(line, [](char c) { return is_control(c) && c != '\t'; })) {
      return std::nullopt;
    }
    return line;
  }

  void read_request_line() {
    const auto line = next_line();
    if (!line) return fail(HttpFault::kSyntax);
    const std::size_t first = line->find(' ');
    const std::size_t last = line->rfind(' ');
    if (first == Text::npos || first == last) return fail(HttpFault::kSyntax);
    const Text method = line->substr(0, first);
    const Text target = line->substr(first + 1, last - first - 1);
    const Text version = line->substr(last + 1);
    if (!version.starts_with("HTTP/")) return fail(HttpFault::kSyntax);
    if (version != "HTTP/1.1" && version != "HTTP/1.0") return fail(HttpFault::kVersion);
    is_1_0_ = version == "HTTP/1.0";
    if (!is_token(method)) return fail(HttpFault::kSyntax);
    if (equal(method, "CONNECT")) return fail(HttpFault::kConnect);
    read_target(target, method);
  }

  // RFC 9112, 3.2: a path, the host and a path, or for OPTIONS an asterisk.
  void read_target(Text target, Text method) {
    constexpr Text kScheme = "http://";
    if (target.find_first_of(" \t") != Text::npos) return fail(HttpFault::kSyntax);
    if (target.starts_with('/') || (target == "*" && method == "OPTIONS")) return;
    if (!equal(target.substr(0, kScheme.size()), kScheme)) return fail(HttpFault::kHost);
    target.remove_prefix(kScheme.size());
    in_target_ = read_authority(target.substr(0, target.find_first_of("/?#")));
    if (!in_target_) fail(HttpFault::kHost);
  }

  void read_field(Text line) {
    const std::size_t colon = line.find(':');
    if (colon == Text::npos || !is_token(line.substr(0, colon))) return fail(HttpFault::kSyntax);
    const Text name = line.substr(0, colon);
    const Text value = trimmed(line.substr(colon + 1));
    if (equal(name, "Host")) {
      const auto authority = read_authority(value);
      if (host_ || !authority) return fail(HttpFault::kHost);
      host_ = authority;
    } else if (equal(name, "Content-Length")) {
      read_length(value);
    } else if (equal(name, "Transfer-Encoding")) {
      if (head_.chunked || is_1_0_ || !equal(value, "chunked")) return fail(HttpFault::kFraming);
      head_.chunked = true;
    } else if (equal(name, "Upgrade")) {
      if (head_.websocket || !equal(value, "websocket")) return fail(HttpFault::kUpgrade);
      head_.websocket = true;
    } else if (equal(name, "HTTP2-Settings")) {
      fail(HttpFault::kUpgrade);  // RFC 7540, 3.2
    }
  }

  // Once, decimal, and such that no reader takes it for octal.
  void read_length(Text value) {
    constexpr std::size_t kDigitsMax = 18;
    const bool plain = !value.empty() && value.size() <= kDigitsMax &&
                       std::ranges::all_of(value, is_digit) &&
                       (value.size() == 1 || value.front() != '0');
    if (has_length_ || !plain) return fail(HttpFault::kFraming);
    has_length_ = true;
    std::from_chars(value.data(), value.data() + value.size(), head_.body);
  }

  // What only the whole head shows.
  void settle() {
    if (head_.chunked && has_length_) return fail(HttpFault::kFraming);
    if (!host_ && !is_1_0_) return fail(HttpFault::kHost);
    if (in_target_ && host_ && *in_target_ != *host_) return fail(HttpFault::kHost);
    if (head_.websocket && (head_.chunked || head_.body > 0 || is_1_0_)) {
      return fail(HttpFault::kUpgrade);
    }
    if (!host_) host_ = in_target_;
    if (host_) head_.host = host_->name;
  }

  Text text_;
  HttpHead head_;
  bool is_1_0_ = false;
  bool has_length_ = false;
  std::optional<Authority> host_;
  std::optional<Authority> in_target_;
};

}  // namespace

HttpLikeness http_likeness(ByteView bytes) {
  constexpr std::size_t kMethodMax = 20;
  const bool is_all = bytes.size() < kHttpHeadSizeMax;
  Text text = text_of(is_all ? bytes : bytes.first(kHttpHeadSizeMax));
  text.remove_prefix(std::min(text.find_first_not_of("\r\n \t"), text.size()));
  // A line without end, or blanks without end before it, may be a request's to whoever reads more
  // than we do: it is judged as one, and is too long for that.
  const auto undecided = is_all ? HttpLikeness::kNeedMore : HttpLikeness::kRequest;
  if (text.empty()) return undecided;
  std::size_t method = 0;
  while (method < text.size() && is_token_character(text[method])) ++method;
  if (method == 0 || method > kMethodMax) return HttpLikeness::kNone;
  if (method == text.size()) return undecided;
  if (!is_blank(text[method])) return HttpLikeness::kNone;
  const std::size_t end = text.find('\n');
  const bool named = text.substr(0, end).find("HTTP/") != Text::npos;
  if (named) return HttpLikeness::kRequest;
  return end == Text::npos ? undecided : HttpLikeness::kNone;
}

HttpHead read_http_head(ByteView bytes) { return HeadReader(text_of(bytes)).read(); }

}  // namespace sluice::wire
