// Zeek's conn.log: https://docs.zeek.org/en/master/logs/conn.html
#include <fmt/format.h>

#include <array>

#include "app/log/event_tuple.h"
#include "app/log/formats.h"

namespace sluice::app {
namespace {

using telemetry::SeenEvent;

struct Field {
  std::string_view name;
  std::string_view type;
};

constexpr std::array kFields{
    Field{"ts", "time"},
    Field{"uid", "string"},
    Field{"id.orig_h", "addr"},
    Field{"id.orig_p", "port"},
    Field{"id.resp_h", "addr"},
    Field{"id.resp_p", "port"},
    Field{"proto", "enum"},
    Field{"service", "string"},
    Field{"duration", "interval"},
    Field{"orig_bytes", "count"},
    Field{"resp_bytes", "count"},
    Field{"conn_state", "string"},
    Field{"local_orig", "bool"},
    Field{"local_resp", "bool"},
    Field{"community_id", "string"},
    Field{"sluice_name", "string"},
    Field{"sluice_reason", "string"},
};

// "C" and the number in digits of 62, as Zeek's own are.
std::string uid_of(std::uint64_t number) {
  constexpr std::string_view kDigits =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string digits;
  for (; number > 0; number /= 62) digits.insert(digits.begin(), kDigits[number % 62]);
  return "C" + std::string(11 - std::min<std::size_t>(digits.size(), 11), '0') + digits;
}

// Of the originator's and the responder's view.
std::string_view state_of(const SeenEvent& event) {
  const bool inbound = event.direction == "in";
  const std::string& outcome = event.outcome;
  if (event.type == "deny" || event.type == "limit") return "REJ";
  if (event.type == "revoke") return "RSTO";
  if (outcome == "closed") return "SF";
  if (outcome == "open") return "S1";
  if (outcome == "reset-by-guest") return inbound ? "RSTR" : "RSTO";
  if (outcome == "reset-by-host") return inbound ? "RSTO" : "RSTR";
  if (outcome == "given-up") return "RSTO";
  if (outcome == "refused" || outcome == "unreachable") return "REJ";
  if (outcome == "timed-out" || outcome == "made-room") return "S0";
  return "OTH";
}

// A tab or a newline would make it another field, and "-" is one that is not set.
std::string field(std::string_view text) {
  if (text.empty()) return "-";
  if (text == "-") return "\\x2d";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string seconds(std::chrono::microseconds time) {
  return fmt::format("{}.{:06}", time.count() / 1'000'000, time.count() % 1'000'000);
}

}  // namespace

std::string zeek_head() {
  std::string text =
      "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n";
  text += "#fields";
  for (const Field& one : kFields) text += fmt::format("\t{}", one.name);
  text += "\n#types";
  for (const Field& one : kFields) text += fmt::format("\t{}", one.type);
  return text + "\n";
}

std::optional<std::string> zeek_line(const SeenEvent& event) {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  const auto tuple = tuple_of(event);
  if (!tuple || (event.type != "close" && !event.is_refusal())) return std::nullopt;
  const bool inbound = event.direction == "in";
  return fmt::format(
      "{}\t{}\t{}\t{}\t{}\t{}\t{}\t-\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
      seconds(duration_cast<microseconds>(event.opened.time_since_epoch())),
      uid_of(flow_number_of(event)), wire::to_string(tuple->flow.source.address),
      tuple->flow.source.port.value, wire::to_string(tuple->flow.destination.address),
      tuple->flow.destination.port.value, field(event.proto),
      seconds(duration_cast<microseconds>(event.duration)), tuple->bytes_by_source,
      tuple->bytes_by_destination, state_of(event), inbound ? 'F' : 'T', inbound ? 'T' : 'F',
      community_id(tuple->flow), field(event.name), field(event.reason));
}

}  // namespace sluice::app
