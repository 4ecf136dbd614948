// Suricata's EVE: https://docs.suricata.io/en/latest/output/eve/eve-json-format.html
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/log/event_tuple.h"
#include "app/log/formats.h"
#include "telemetry/text.h"

namespace sluice::app {
namespace {

using nlohmann::ordered_json;
using telemetry::SeenEvent;

// "2026-03-01T12:00:00.123456+0000"
std::string timestamp(SeenEvent::Time time) {
  fmt::memory_buffer text;
  telemetry::append_time(text, time);
  return std::string(text.data(), text.size() - 1) + "+0000";
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return text;
}

std::string_view state_of(const SeenEvent& event) {
  if (event.type == "revoke") return "closed";
  if (event.is_refusal() || event.outcome == "refused" || event.outcome == "unreachable" ||
      event.outcome == "timed-out" || event.outcome == "made-room") {
    return "new";
  }
  return event.outcome == "open" ? "established" : "closed";
}

}  // namespace

std::optional<std::string> eve_line(const SeenEvent& event) {
  const auto tuple = tuple_of(event);
  if (!tuple || (event.type != "close" && !event.is_refusal())) return std::nullopt;
  // What a double holds exactly.
  constexpr std::uint64_t kFlowIdMask = 0x0007'ffff'ffff'ffff;
  const std::string proto = tuple->flow.protocol == 58 ? "IPv6-ICMP" : upper(event.proto);
  ordered_json object{{"timestamp", timestamp(event.time)},
                      {"flow_id", flow_number_of(event) & kFlowIdMask},
                      {"event_type", "flow"},
                      {"src_ip", wire::to_string(tuple->flow.source.address)},
                      {"src_port", tuple->flow.source.port.value},
                      {"dest_ip", wire::to_string(tuple->flow.destination.address)},
                      {"dest_port", tuple->flow.destination.port.value},
                      {"proto", proto}};
  ordered_json flow{
      {"bytes_toserver", tuple->bytes_by_source},
      {"bytes_toclient", tuple->bytes_by_destination},
      {"start", timestamp(event.opened)},
      {"end", timestamp(event.time)},
      {"age", std::chrono::duration_cast<std::chrono::seconds>(event.duration).count()},
      {"state", state_of(event)},
      {"reason", event.outcome == "open" ? "shutdown" : "unknown"},
      {"alerted", false}};
  if (event.is_refusal()) flow["action"] = "drop";
  object["flow"] = std::move(flow);
  object["community_id"] = community_id(tuple->flow);
  ordered_json ours{{"run", event.run}, {"seq", event.sequence}, {"type", event.type}};
  if (!event.name.empty()) ours["name"] = event.name;
  ours["reason"] = event.reason;
  ours["decided_by"] = event.decided_by;
  ours["outcome"] = event.outcome;
  ours["path"] = event.path;
  object["sluice"] = std::move(ours);
  return object.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace sluice::app
