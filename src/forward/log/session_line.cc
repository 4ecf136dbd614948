// append_session_line(): the three formats of a session's line.
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

#include "base/unreachable.h"
#include "forward/log/session_log.h"
#include "sys/sys_error.h"
#include "telemetry/text.h"

namespace sluice::forward {
namespace {

using SystemTime = std::chrono::system_clock::time_point;

constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// A second as text. Lines come by the thousand in a second, so each thread keeps its last one.
class SecondText {
 public:
  void set(std::chrono::sys_seconds second) {
    if (second == second_) return;
    second_ = second;
    const std::time_t since_epoch = second.time_since_epoch().count();
    struct tm local{};
    ::localtime_r(&since_epoch, &local);
    const auto month = static_cast<std::size_t>(local.tm_mon) % kMonths.size();
    local_size_ = print(local_, "{:02}/{}/{:04}:{:02}:{:02}:{:02} ", local.tm_mday, kMonths[month],
                        local.tm_year + 1900, local.tm_hour, local.tm_min, local.tm_sec);
    const auto minutes = (local.tm_gmtoff < 0 ? -local.tm_gmtoff : local.tm_gmtoff) / 60;
    zone_size_ =
        print(zone_, "{}{:02}{:02}", local.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
    struct tm utc{};
    ::gmtime_r(&since_epoch, &utc);
    utc_size_ = print(utc_, "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", utc.tm_year + 1900,
                      utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
  }

  [[nodiscard]] std::string_view local() const { return {local_.data(), local_size_}; }
  [[nodiscard]] std::string_view zone() const { return {zone_.data(), zone_size_}; }
  [[nodiscard]] std::string_view utc() const { return {utc_.data(), utc_size_}; }

 private:
  using Text = std::array<char, 48>;

  template <typename... Args>
  static std::size_t print(Text& text, fmt::format_string<const Args&...> format,
                           const Args&... args) {
    const auto done = fmt::format_to_n(text.data(), text.size(), format, args...);
    return std::min(done.size, text.size());
  }

  std::chrono::sys_seconds second_ = std::chrono::sys_seconds::min();
  Text local_{};
  Text zone_{};
  Text utc_{};
  std::size_t local_size_ = 0;
  std::size_t zone_size_ = 0;
  std::size_t utc_size_ = 0;
};

const SecondText& text_of(SystemTime now) {
  thread_local SecondText text;
  text.set(std::chrono::floor<std::chrono::seconds>(now));
  return text;
}

std::string_view rinetd_name(SessionResult result) {
  switch (result) {
    case SessionResult::kOpened: return "opened";
    case SessionResult::kTargetClosed: return "done-local-closed";
    case SessionResult::kClientClosed: return "done-remote-closed";
    case SessionResult::kTargetReset: return "done-local-closed";
    case SessionResult::kClientReset: return "done-remote-closed";
    case SessionResult::kIdle: return "done-timeout";
    case SessionResult::kStopped: return "done-stopped";
    case SessionResult::kConnectFailed: return "local-connect-failed";
    case SessionResult::kNotAllowed: return "not-allowed";
    case SessionResult::kDenied: return "denied";
    case SessionResult::kLimited: return "limited";
    case SessionResult::kBadProxyHeader: return "bad-proxy-header";
  }
  unreachable("SessionResult out of range");
}

struct JsonNames {
  std::string_view event;
  std::string_view result;
};

JsonNames json_names(SessionResult result) {
  switch (result) {
    case SessionResult::kOpened: return {"opened", "opened"};
    case SessionResult::kTargetClosed: return {"ended", "target-closed"};
    case SessionResult::kClientClosed: return {"ended", "client-closed"};
    case SessionResult::kTargetReset: return {"ended", "target-reset"};
    case SessionResult::kClientReset: return {"ended", "client-reset"};
    case SessionResult::kIdle: return {"ended", "idle"};
    case SessionResult::kStopped: return {"ended", "stopped"};
    case SessionResult::kConnectFailed: return {"refused", "connect-failed"};
    case SessionResult::kNotAllowed: return {"refused", "not-allowed"};
    case SessionResult::kDenied: return {"refused", "denied"};
    case SessionResult::kLimited: return {"refused", "limited"};
    case SessionResult::kBadProxyHeader: return {"refused", "bad-proxy-header"};
  }
  unreachable("SessionResult out of range");
}

constexpr bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

// A client without an address came through a UNIX socket.
bool has_address(const SessionEvent& event) { return event.client != wire::Endpoint{}; }

void append_tab_field(fmt::memory_buffer& out, std::string_view text, std::string_view if_empty) {
  if (text.empty()) text = if_empty;
  for (const char c : text) {
    if (is_control(c) || c == '\\') {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out.push_back(c);
    }
  }
}

// A part of a URL's path, so '/' of a UNIX socket must not look like a border.
void append_path_field(fmt::memory_buffer& out, std::string_view text, std::string_view if_empty) {
  if (text.empty()) text = if_empty;
  for (const char c : text) {
    if (is_control(c) || c == '/' || c == '%' || c == '"' || c == ' ') {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    } else {
      out.push_back(c);
    }
  }
}

// Bytes above 0x7f are passed on: JSON is UTF-8, and a file's name nearly always is. Those that
// are not part of valid UTF-8 would spoil the whole line for a parser, so all are escaped as
// Latin-1 when the text as a whole is not valid.
bool is_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0 || length > text.size() - at) return false;
    std::uint32_t point = length == 1 ? lead : lead & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
      const auto byte = static_cast<unsigned char>(text[at + i]);
      if ((byte & 0xc0U) != 0x80U) return false;
      point = point << 6U | (byte & 0x3fU);
    }
    // Overlong forms, surrogates and what is above U+10FFFF (RFC 3629, section 3).
    if (length == 3 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) return false;
    if (length == 4 && (point < 0x10000 || point > 0x10ffff)) return false;
    at += length;
  }
  return true;
}

void append_json_text(fmt::memory_buffer& out, std::string_view text) {
  const bool plain = is_utf8(text);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_control(c) || (byte >= 0x80 && !plain)) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
  }
}

void append_json_place(fmt::memory_buffer& out, std::string_view host, std::uint16_t port) {
  out.push_back('"');
  if (host.starts_with('/') || host.starts_with('@')) {
    out.append(std::string_view("unix:"));
    append_json_text(out, host);
  } else {
    const bool brackets = host.find(':') != std::string_view::npos;
    if (brackets) out.push_back('[');
    append_json_text(out, host);
    if (brackets) out.push_back(']');
    fmt::format_to(std::back_inserter(out), ":{}", port);
  }
  out.push_back('"');
}

void append_client(fmt::memory_buffer& out, const SessionEvent& event) {
  if (has_address(event)) {
    telemetry::append_address(out, event.client.address);
  } else {
    out.push_back('-');
  }
}

void append_rinetd(fmt::memory_buffer& out, const SessionEvent& event, SystemTime now) {
  out.append(text_of(now).local());
  out.push_back('\t');
  append_client(out, event);
  out.push_back('\t');
  append_tab_field(out, event.listen_host, "*");
  fmt::format_to(std::back_inserter(out), "\t{}\t", event.listen_port);
  append_tab_field(out, event.target_host, "-");
  fmt::format_to(std::back_inserter(out), "\t{}\t{}\t{}\t{}\n", event.target_port,
                 event.bytes_from_client, event.bytes_to_client, rinetd_name(event.result));
}

void append_common(fmt::memory_buffer& out, const SessionEvent& event, SystemTime now) {
  const SecondText& text = text_of(now);
  append_client(out, event);
  fmt::format_to(std::back_inserter(out), R"( - - [{} {}] "GET /rinetd-services/)", text.local(),
                 text.zone());
  append_path_field(out, event.listen_host, "*");
  fmt::format_to(std::back_inserter(out), "/{}/", event.listen_port);
  append_path_field(out, event.target_host, "-");
  fmt::format_to(std::back_inserter(out), "/{}/{} HTTP/1.0\" 200 {} - - - {}\n", event.target_port,
                 rinetd_name(event.result), event.bytes_to_client, event.bytes_from_client);
}

void append_json_client(fmt::memory_buffer& out, const SessionEvent& event) {
  if (!has_address(event)) {
    out.append(std::string_view("null"));
    return;
  }
  const bool brackets = !event.client.address.is_v4();
  out.append(std::string_view(brackets ? "\"[" : "\""));
  telemetry::append_address(out, event.client.address);
  fmt::format_to(std::back_inserter(out), "{}:{}\"", brackets ? "]" : "", event.client.port.value);
}

void append_json_error(fmt::memory_buffer& out, int error) {
  // Not errno_text(), which makes a string.
  if (error == 0) {
    out.append(std::string_view("null"));
  } else if (const char* const text = ::strerrordesc_np(error); text != nullptr) {
    fmt::format_to(std::back_inserter(out), R"("{}")", text);
  } else {
    fmt::format_to(std::back_inserter(out), R"("error {}")", error);
  }
}

void append_json(fmt::memory_buffer& out, const SessionEvent& event, SystemTime now) {
  const auto micros =
      std::chrono::floor<std::chrono::microseconds>(now.time_since_epoch()).count() % 1'000'000;
  const JsonNames names = json_names(event.result);
  fmt::format_to(std::back_inserter(out), R"({{"time":"{}.{:06}Z","rule":")", text_of(now).utc(),
                 micros);
  append_json_text(out, event.rule);
  out.append(std::string_view(R"(","client":)"));
  append_json_client(out, event);
  out.append(std::string_view(R"(,"listen":)"));
  append_json_place(out, event.listen_host.empty() ? "*" : event.listen_host, event.listen_port);
  out.append(std::string_view(R"(,"target":)"));
  if (event.target_host.empty()) {
    out.append(std::string_view("null"));
  } else {
    append_json_place(out, event.target_host, event.target_port);
  }
  const Duration duration = std::max(event.duration, Duration{});
  const auto lasted = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  fmt::format_to(std::back_inserter(out),
                 R"(,"protocol":"{}","event":"{}","result":"{}","bytes_from_client":{},)"
                 R"("bytes_to_client":{},"duration_ms":{}.{:03},"error":)",
                 event.udp ? "udp" : "tcp", names.event, names.result, event.bytes_from_client,
                 event.bytes_to_client, lasted / 1000, lasted % 1000);
  append_json_error(out, event.error);
  out.append(std::string_view("}\n"));
}

}  // namespace

void append_left_out_line(fmt::memory_buffer& out, LogFormat format, const LeftOut& left_out,
                          SystemTime now) {
  const SecondText& text = text_of(now);
  const auto to = std::back_inserter(out);
  switch (format) {
    case LogFormat::kRinetd:
      fmt::format_to(to, "{}\t-\t*\t0\t-\t0\t0\t0\t{}-more-{}\n", text.local(), left_out.count,
                     rinetd_name(left_out.result));
      return;
    case LogFormat::kCommon:
      fmt::format_to(to,
                     R"(- - - [{} {}] "GET /rinetd-services/*/0/-/0/{}-more-{} HTTP/1.0")"
                     " 200 0 - - - 0\n",
                     text.local(), text.zone(), left_out.count, rinetd_name(left_out.result));
      return;
    case LogFormat::kJson:
      fmt::format_to(to,
                     R"({{"time":"{}.000000Z","event":"refused","result":"{}","left_out":{}}})"
                     "\n",
                     text.utc(), json_names(left_out.result).result, left_out.count);
      return;
  }
  unreachable("LogFormat out of range");
}

void append_session_line(fmt::memory_buffer& out, LogFormat format, const SessionEvent& event,
                         std::chrono::system_clock::time_point now) {
  switch (format) {
    case LogFormat::kRinetd: append_rinetd(out, event, now); return;
    case LogFormat::kCommon: append_common(out, event, now); return;
    case LogFormat::kJson: append_json(out, event, now); return;
  }
  unreachable("LogFormat out of range");
}

}  // namespace sluice::forward
