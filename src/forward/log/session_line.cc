// append_session_line(): the three formats of a session's line.
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

#include "base/unreachable.h"
#include "forward/log/session_log.h"
#include "sys/sys_error.h"
#include "telemetry/json_line.h"
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
    case SessionResult::kStopped:
    case SessionResult::kKilled: return "done-stopped";
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
    case SessionResult::kKilled: return {"ended", "killed"};
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

// As "host:port", "[host]:port" or "unix:path".
void append_place(fmt::memory_buffer& out, std::string_view host, std::uint16_t port) {
  const auto to = std::back_inserter(out);
  if (host.starts_with('/') || host.starts_with('@')) {
    fmt::format_to(to, "unix:{}", host);
  } else if (host.find(':') != std::string_view::npos) {
    fmt::format_to(to, "[{}]:{}", host, port);
  } else {
    fmt::format_to(to, "{}:{}", host, port);
  }
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

void append_client_place(fmt::memory_buffer& out, const SessionEvent& event) {
  const bool brackets = !event.client.address.is_v4();
  if (brackets) out.push_back('[');
  telemetry::append_address(out, event.client.address);
  fmt::format_to(std::back_inserter(out), "{}:{}", brackets ? "]" : "", event.client.port.value);
}

void append_error(fmt::memory_buffer& out, int error) {
  // Not errno_text(), which makes a string.
  if (const char* const text = ::strerrordesc_np(error); text != nullptr) {
    out.append(std::string_view(text));
  } else {
    fmt::format_to(std::back_inserter(out), "error {}", error);
  }
}

// A member that is null where nothing is known.
template <typename Fill>
void put_if(telemetry::JsonLine& line, std::string_view key, bool known, const Fill& fill) {
  if (known) {
    line.filled(key, fill);
  } else {
    line.null(key);
  }
}

void append_json(fmt::memory_buffer& out, const SessionEvent& event, SystemTime now) {
  const auto micros =
      std::chrono::floor<std::chrono::microseconds>(now.time_since_epoch()).count() % 1'000'000;
  const JsonNames names = json_names(event.result);
  telemetry::JsonLine line(out);
  line.filled("time", [&](fmt::memory_buffer& text) {
    fmt::format_to(std::back_inserter(text), "{}.{:06}Z", text_of(now).utc(), micros);
  });
  line.text("rule", event.rule);
  put_if(line, "client", has_address(event),
         [&](fmt::memory_buffer& text) { append_client_place(text, event); });
  line.filled("listen", [&](fmt::memory_buffer& text) {
    append_place(text, event.listen_host.empty() ? "*" : event.listen_host, event.listen_port);
  });
  put_if(line, "target", !event.target_host.empty(), [&](fmt::memory_buffer& text) {
    append_place(text, event.target_host, event.target_port);
  });
  const Duration duration = std::max(event.duration, Duration{});
  const auto lasted = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  line.text("protocol", event.udp ? "udp" : "tcp");
  line.text("event", names.event);
  line.text("result", names.result);
  line.number("bytes_from_client", event.bytes_from_client);
  line.number("bytes_to_client", event.bytes_to_client);
  line.decimal("duration_ms", static_cast<std::uint64_t>(lasted), 3);
  put_if(line, "error", event.error != 0,
         [&](fmt::memory_buffer& text) { append_error(text, event.error); });
  line.end_line();
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
    case LogFormat::kJson: {
      telemetry::JsonLine line(out);
      line.filled("time", [&](fmt::memory_buffer& piece) {
        fmt::format_to(std::back_inserter(piece), "{}.000000Z", text.utc());
      });
      line.text("event", "refused");
      line.text("result", json_names(left_out.result).result);
      line.number("left_out", left_out.count);
      line.end_line();
      return;
    }
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
