#include "telemetry/text.h"

#include <arpa/inet.h>

#include <array>
#include <iterator>

namespace sluice::telemetry {

using namespace std::chrono_literals;

namespace {

// Whether `text` begins with what RFC 1035, 5.1, makes of an octet, as DomainName::to_text() does:
// a backslash and three digits, a dot or another backslash.
bool begins_with_escape(std::string_view text) {
  if (text.size() < 2 || text[0] != '\\') return false;
  if (text[1] == '.' || text[1] == '\\') return true;
  if (text.size() < 4) return false;
  unsigned value = 0;
  for (const char digit : text.substr(1, 3)) {
    if (digit < '0' || digit > '9') return false;
    value = value * 10 + static_cast<unsigned>(digit - '0');
  }
  return value <= 0xff;
}

}  // namespace

void append_name(fmt::memory_buffer& out, std::string_view name) {
  for (std::size_t at = 0; at < name.size(); ++at) {
    const auto byte = static_cast<unsigned char>(name[at]);
    if (begins_with_escape(name.substr(at))) {
      out.append(name.substr(at, 2));  // The second may be a backslash, which begins nothing.
      ++at;
    } else if (byte <= 0x20 || byte >= 0x7f || byte == '\\' || byte == '"') {
      fmt::format_to(std::back_inserter(out), "\\{:03}", byte);
    } else {
      out.push_back(name[at]);
    }
  }
}

void append_address(fmt::memory_buffer& out, const wire::IpAddress& address) {
  if (address.is_v4()) {
    const auto o = address.v4_octets();
    fmt::format_to(std::back_inserter(out), "{}.{}.{}.{}", o[0], o[1], o[2], o[3]);
    return;
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET6, address.octets().data(), text.data(), text.size());
  out.append(std::string_view(text.data()));
}

void append_time(fmt::memory_buffer& out, std::chrono::system_clock::time_point time) {
  const auto micros = std::chrono::floor<std::chrono::microseconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(micros);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(micros - day);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
                 static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                 static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(),
                 clock.seconds().count(), clock.subseconds().count());
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::array<std::string_view, 6> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 999.5 would be rounded to four digits.
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, value < 9.95 ? 1 : 0, kUnits[unit]);
}

std::string human_duration(Duration duration) {
  if (duration < 0ns) duration = 0ns;
  const double seconds = std::chrono::duration<double>(duration).count();
  if (seconds < 1) return fmt::format("{:.3f} s", seconds);
  if (seconds < 9.995) return fmt::format("{:.2f} s", seconds);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(duration + 500ms).count();
  if (whole < 3600) return fmt::format("{} m {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} m", whole / 3600, whole % 3600 / 60);
}

}  // namespace sluice::telemetry
