#include "telemetry/events/event_row.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>

#include "telemetry/text.h"

namespace sluice::telemetry {
namespace {

constexpr std::size_t kTypeWidth = 6;
constexpr std::size_t kTargetWidth = 36;
// What stands before the target: the time, the type, and two spaces behind each.
constexpr std::size_t kBefore = 12 + 2 + kTypeWidth + 2;

struct Paint {
  std::string_view begin;
  std::string_view end;
};

Paint paint_for(const SeenEvent& event, Color color) {
  if (color == Color::kOff) return {};
  if (event.was_refused()) return {"\x1b[31m", "\x1b[0m"};
  if (event.type == "lost") return {"\x1b[33m", "\x1b[0m"};
  if (event.type == "open") return {"\x1b[32m", "\x1b[0m"};
  return {"\x1b[2m", "\x1b[0m"};
}

std::string clock_text(SeenEvent::Time time) {
  const auto millis = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(millis);
  const std::time_t moment = std::chrono::system_clock::to_time_t(seconds);
  std::tm local{};
  ::localtime_r(&moment, &local);
  return fmt::format("{:02}:{:02}:{:02}.{:03}", local.tm_hour, local.tm_min, local.tm_sec,
                     (millis - seconds).count());
}

std::string endpoint_text(const std::string& address, std::uint16_t port) {
  const std::string host = plain(address);
  if (port == 0) return host;
  const bool bare_v6 = host.find(':') != std::string::npos;
  return bare_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::string end_text(const SeenEvent& event) {
  std::string text = fmt::format("{} out, {} in, {}", human_bytes(event.bytes_to_host),
                                 human_bytes(event.bytes_to_guest), human_duration(event.duration));
  if (event.path == "kernel") text += ", kernel";
  if (event.outcome != "closed" && event.outcome != "not-accepted") {
    text += ", " + plain(event.outcome);
  }
  return text;
}

std::string reason_text(const SeenEvent& event) {
  return fmt::format("{}, by {}", plain(event.reason), plain(event.decided_by));
}

std::string with_rule(const SeenEvent& event) {
  return event.rule.empty() ? "" : fmt::format(" (rule {})", plain(event.rule));
}

std::string would_text(const SeenEvent& event) {
  return event.would_refuse() ? "would be refused: " : "";
}

std::string query_detail(const SeenEvent& event) {
  if (event.was_refused()) return would_text(event) + reason_text(event) + with_rule(event);
  if (event.result == "failed") return "no answer";
  const std::string from = event.source == "cache" ? ", cached" : "";
  if (event.rcode != "NOERROR") return plain(event.rcode) + from;
  return fmt::format("{} address{}{}", event.addresses, event.addresses == 1 ? "" : "es", from);
}

std::string gate_detail(const SeenEvent& event) {
  const std::string said = event.kind == "opaque" ? "neither TLS nor HTTP" : plain(event.kind);
  std::string text = fmt::format("{}  {}", plain(event.address), said);
  if (event.ech) text += ", encrypted hello";
  if (event.was_refused()) {
    text += ": " + would_text(event) + reason_text(event) + with_rule(event);
  }
  return text;
}

std::string policy_detail(const SeenEvent& event) {
  return fmt::format("default {}, {} rules, generation {}", plain(event.fallback), event.rules,
                     event.generation);
}

std::string reload_detail(const SeenEvent& event) {
  if (!event.error.empty()) return "failed: " + plain(event.error);
  return fmt::format("{} rules, generation {}", event.rules, event.generation);
}

std::string detail_of(const SeenEvent& event) {
  if (event.left_out > 0) return reason_text(event);
  if (event.type == "dns") return query_detail(event);
  if (event.type == "gate") return gate_detail(event);
  if (event.type == "policy") return policy_detail(event);
  if (event.type == "reload") return reload_detail(event);
  // The address, where the target is a name.
  const bool has_target = !event.flow.empty() || event.question != 0;
  const bool forwarded = !event.listen.empty();
  std::string text = event.name.empty() || !has_target || forwarded ? "" : plain(event.address);
  const auto add = [&text](const std::string& more) {
    if (!text.empty() && !more.empty()) text += "  ";
    text += more;
  };
  if (forwarded && !event.is_refusal()) add(fmt::format("rule {}", plain(event.rule)));
  if (event.is_refusal()) add(reason_text(event) + with_rule(event));
  if (event.type == "close" || event.type == "revoke") add(end_text(event));
  if (event.type == "ask") add(fmt::format("question {}", event.question));
  if (event.type == "decision") {
    const std::string by = plain(event.answered_by);
    add(fmt::format("question {}: {}{}{}", event.question, plain(event.result),
                    by.empty() ? "" : ", by ", by));
  }
  if (!event.would_deny.empty()) add("would be refused: " + plain(event.would_deny));
  if (event.type == "end") add(fmt::format("status {}", event.status));
  return text;
}

}  // namespace

std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\{:03}", byte);
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string target_text(const SeenEvent& event) {
  if (!event.listen.empty()) {
    return fmt::format("{} < {}", plain(event.target.empty() ? event.listen : event.target),
                       endpoint_text(event.address, event.port));
  }
  if (event.direction == "in") {
    return fmt::format("{}/{} < {}", endpoint_text(event.guest, event.guest_port),
                       plain(event.proto), endpoint_text(event.address, event.port));
  }
  const std::string& host = event.name.empty() ? event.address : event.name;
  return fmt::format("{}/{}", endpoint_text(host, event.port), plain(event.proto));
}

std::string event_row(const SeenEvent& event, Color color, std::size_t width) {
  std::string what;
  if (!event.flow.empty() || event.question != 0) {
    what = target_text(event);
  } else if (event.type == "dns" && event.left_out == 0) {
    what = fmt::format("{} {}", plain(event.name), plain(event.query));
  } else if (event.type == "policy" || event.type == "reload") {
    what = plain(event.change.empty() ? event.by : event.change);
  } else if (event.left_out > 0) {
    what = fmt::format("{} more of the same", event.left_out);
  } else if (event.type == "lost") {
    what = fmt::format("{} events, for which there was no room", event.count);
  } else {
    what = event.program.empty()
               ? fmt::format("run {}", plain(event.run))
               : fmt::format("{}, run {}", plain(event.program), plain(event.run));
  }
  const Paint paint = paint_for(event, color);
  const std::string type = plain(event.type);
  std::string line = fmt::format("{}  {}{:<{}}{}  ", clock_text(event.time), paint.begin, type,
                                 kTypeWidth, paint.end);
  // A longer word takes its room from the target, so that details stand under each other.
  const std::size_t over = type.size() - std::min(type.size(), kTypeWidth);
  const std::string detail = detail_of(event);
  const std::size_t target = kTargetWidth - std::min(over, kTargetWidth);
  const std::size_t whole = kBefore + over + std::max(what.size(), target) + 2 + detail.size();
  if (width > kBefore && whole > width && !detail.empty()) {
    line += fmt::format("{}\n{:{}}{}", what, "", kBefore, detail);
  } else {
    line += fmt::format("{:<{}}  {}", what, target, detail);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  line += '\n';
  return line;
}

}  // namespace sluice::telemetry
