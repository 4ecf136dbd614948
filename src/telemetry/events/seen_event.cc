#include "telemetry/events/seen_event.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace sluice::telemetry {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

bool flag_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::uint16_t port_of(const json& object, const char* key) {
  const std::uint64_t port = number_of(object, key);
  return port <= 0xffff ? static_cast<std::uint16_t>(port) : 0;
}

Duration duration_of(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return {};
  // A century is enough, and no number is too large for the clock then.
  const double seconds = std::clamp(found->get<double>(), 0.0, 3.2e9);
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

SeenEvent::Time time_of(const json& object, const char* key) {
  return parse_event_time(text_of(object, key)).value_or(SeenEvent::Time{});
}

// Exactly `digits` of them, at `at`.
std::optional<unsigned> field(std::string_view text, std::size_t at, std::size_t digits) {
  unsigned value = 0;
  const char* const begin = text.data() + at;
  const auto [stop, error] = std::from_chars(begin, begin + digits, value);
  if (error != std::errc{} || stop != begin + digits) return std::nullopt;
  return value;
}

// Of a second, from the digits behind the point.
std::optional<std::chrono::microseconds> fraction(std::string_view digits) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    const char digit = i < digits.size() ? digits[i] : '0';
    if (digit < '0' || digit > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return std::chrono::microseconds(value);
}

}  // namespace

std::optional<SeenEvent::Time> parse_event_time(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00";
  if (text.size() <= kForm.size() || text.back() != 'Z') return std::nullopt;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    if (kForm[i] != '0' && text[i] != kForm[i]) return std::nullopt;
  }
  const auto year = field(text, 0, 4);
  const auto month = field(text, 5, 2);
  const auto day = field(text, 8, 2);
  const auto hour = field(text, 11, 2);
  const auto minute = field(text, 14, 2);
  const auto second = field(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month), std::chrono::day(*day)};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  std::string_view rest = text.substr(kForm.size(), text.size() - kForm.size() - 1);
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
  } else if (!rest.empty()) {
    return std::nullopt;
  }
  const auto micros = fraction(rest);
  if (!micros) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second) + *micros;
}

std::optional<SeenEvent> read_event(std::string_view line) {
  if (line.size() > kEventLineMax) return std::nullopt;
  const json object = json::parse(line, nullptr, false);
  if (!object.is_object() || number_of(object, "v") != 1) return std::nullopt;
  SeenEvent event;
  event.type = text_of(object, "type");
  if (event.type.empty()) return std::nullopt;
  event.sequence = number_of(object, "seq");
  event.time = time_of(object, "time");
  event.run = text_of(object, "run");
  event.flow = text_of(object, "flow");
  event.proto = text_of(object, "proto");
  event.direction = text_of(object, "direction");
  event.guest = text_of(object, "guest");
  event.guest_port = port_of(object, "guest_port");
  event.name = text_of(object, "name");
  event.name_source = text_of(object, "name_source");
  event.address = text_of(object, "address");
  event.port = port_of(object, "port");
  event.reason = text_of(object, "reason");
  event.decided_by = text_of(object, "decided_by");
  event.question = number_of(object, "question");
  if (event.question != 0) event.answered_by = text_of(object, "by");
  event.rule = text_of(object, "rule");
  event.generation = number_of(object, "generation");
  event.would_deny = text_of(object, "would_deny");
  event.listen = text_of(object, "listen");
  event.target = text_of(object, "target");
  event.query = text_of(object, "query");
  event.result = text_of(object, "result");
  event.source = text_of(object, "source");
  event.rcode = text_of(object, "rcode");
  event.addresses = number_of(object, "addresses");
  event.kind = text_of(object, "kind");
  event.ech = flag_of(object, "ech");
  event.by = text_of(object, "by");
  event.change = text_of(object, "change");
  event.fallback = text_of(object, "default");
  event.rules = number_of(object, "rules");
  event.error = text_of(object, "error");
  event.opened = time_of(object, "opened");
  event.duration = duration_of(object, "duration_s");
  event.bytes_to_host = number_of(object, "bytes_to_host");
  event.bytes_to_guest = number_of(object, "bytes_to_guest");
  event.path = text_of(object, "path");
  event.outcome = text_of(object, "outcome");
  event.count = number_of(object, "count");
  event.left_out = number_of(object, "left_out");
  event.program = text_of(object, "program");
  event.status = number_of(object, "status");
  return event;
}

}  // namespace sluice::telemetry
