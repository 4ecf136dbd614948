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

constexpr std::uint64_t kFlowIdMask = 0x0007'ffff'ffff'ffff;  // What a double holds exactly.

std::string text_of(const ordered_json& object) {
  return object.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// What Suricata has no member for.
ordered_json ours_of(const SeenEvent& event) {
  ordered_json ours{{"run", event.run}, {"seq", event.sequence}, {"type", event.type}};
  if (!event.name.empty()) ours["name"] = event.name;
  if (!event.result.empty()) ours["result"] = event.result;
  if (!event.source.empty()) ours["source"] = event.source;
  ours["reason"] = event.reason;
  ours["decided_by"] = event.decided_by;
  if (!event.rule.empty()) ours["rule"] = event.rule;
  return ours;
}

std::optional<std::string> query_line(const SeenEvent& event) {
  if (event.query.empty()) return std::nullopt;
  ordered_json dns{{"version", 3}, {"type", "response"}};
  if (!event.rcode.empty()) dns["rcode"] = event.rcode;
  ordered_json query{{"rrname", event.name}, {"rrtype", event.query}};
  dns["queries"] = ordered_json::array({std::move(query)});
  ordered_json object{{"timestamp", timestamp(event.time)}, {"event_type", "dns"}};
  object["dns"] = std::move(dns);
  object["sluice"] = ours_of(event);
  object["sluice"]["addresses"] = event.addresses;
  return text_of(object);
}

ordered_json head_of(const SeenEvent& event, const EventTuple& tuple, std::string_view type) {
  const std::string proto = tuple.flow.protocol == 58 ? "IPv6-ICMP" : upper(event.proto);
  return {{"timestamp", timestamp(event.time)},
          {"flow_id", flow_number_of(event) & kFlowIdMask},
          {"event_type", type},
          {"src_ip", wire::to_string(tuple.flow.source.address)},
          {"src_port", tuple.flow.source.port.value},
          {"dest_ip", wire::to_string(tuple.flow.destination.address)},
          {"dest_port", tuple.flow.destination.port.value},
          {"proto", proto}};
}

std::optional<std::string> gate_line(const SeenEvent& event) {
  const auto tuple = tuple_of(event);
  if (!tuple || (event.kind != "tls" && event.kind != "http")) return std::nullopt;
  ordered_json object = head_of(event, *tuple, event.kind);
  ordered_json said = ordered_json::object();
  if (!event.name.empty()) said[event.kind == "tls" ? "sni" : "hostname"] = event.name;
  object[event.kind] = std::move(said);
  object["community_id"] = community_id(tuple->flow);
  object["sluice"] = ours_of(event);
  return text_of(object);
}

}  // namespace

std::optional<std::string> eve_line(const SeenEvent& event) {
  if (event.type == "dns") return query_line(event);
  if (event.type == "gate") return gate_line(event);
  const auto tuple = tuple_of(event);
  if (!tuple || (event.type != "close" && !event.is_refusal())) return std::nullopt;
  ordered_json object = head_of(event, *tuple, "flow");
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
  object["sluice"] = ours_of(event);
  object["sluice"]["outcome"] = event.outcome;
  object["sluice"]["path"] = event.path;
  return text_of(object);
}

}  // namespace sluice::app
