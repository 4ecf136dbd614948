// OCSF 1.3.0: https://schema.ocsf.io/1.3.0/classes/network_activity and dns_activity
#include <nlohmann/json.hpp>

#include "app/log/event_tuple.h"
#include "app/log/formats.h"
#include "telemetry/events/dns_text.h"

namespace sluice::app {
namespace {

using nlohmann::ordered_json;
using telemetry::SeenEvent;

constexpr int kClass = 4001;
enum Activity : int { kOpen = 1, kClose = 2, kReset = 3, kFail = 4, kRefuse = 5 };

std::optional<Activity> activity_of(const SeenEvent& event) {
  if (event.type == "open") return kOpen;
  if (event.type == "deny" || event.type == "limit") return kRefuse;
  if (event.type == "revoke") return kReset;
  if (event.type != "close") return std::nullopt;
  if (event.outcome.starts_with("reset-by") || event.outcome == "given-up") return kReset;
  if (event.outcome == "refused" || event.outcome == "unreachable" ||
      event.outcome == "timed-out") {
    return kFail;
  }
  return kClose;
}

std::int64_t millis(SeenEvent::Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

ordered_json endpoint(const wire::Endpoint& end) {
  ordered_json object{{"ip", wire::to_string(end.address)}};
  if (end.port.value != 0) object["port"] = end.port.value;
  return object;
}

ordered_json metadata(const SeenEvent& event) {
  return {{"version", "1.3.0"},
          {"product", {{"name", "sluice"}, {"vendor_name", "sluice"}}},
          {"profiles", {"security_control"}},
          {"log_name", event.run},
          {"sequence", event.sequence}};
}

// What is no UTF-8 was escaped by whoever wrote the event; of others it is replaced.
std::string text_of(const ordered_json& object) {
  return object.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::optional<std::string> query_line(const SeenEvent& event) {
  constexpr int kDnsClass = 4003;
  constexpr int kResponse = 2;
  constexpr int kOther = 99;
  if (event.query.empty()) return std::nullopt;
  const bool refused = event.result == "refused";
  const bool failed = event.result == "failed";
  ordered_json object{{"class_uid", kDnsClass},
                      {"category_uid", kDnsClass / 1000},
                      {"activity_id", kResponse},
                      {"type_uid", kDnsClass * 100 + kResponse},
                      {"severity_id", refused ? 2 : 1},
                      {"time", millis(event.time)},
                      {"action_id", refused ? 2 : 1},
                      {"disposition_id", refused ? 2 : 1},
                      {"status_id", refused || failed ? 2 : 1},
                      {"status_detail", refused ? event.reason : event.result},
                      {"metadata", metadata(event)}};
  object["query"] = {{"hostname", event.name}, {"type", event.query}, {"class", "IN"}};
  if (!event.rcode.empty()) {
    object["rcode"] = event.rcode;
    object["rcode_id"] = telemetry::dns_rcode_number(event.rcode).value_or(kOther);
  }
  object["unmapped"] = {{"source", event.source}, {"addresses", event.addresses}};
  if (!event.rule.empty()) object["unmapped"]["rule"] = event.rule;
  return text_of(object);
}

}  // namespace

std::optional<std::string> ocsf_line(const SeenEvent& event) {
  if (event.type == "dns") return query_line(event);
  const auto activity = activity_of(event);
  const auto tuple = tuple_of(event);
  if (!activity || !tuple) return std::nullopt;
  const bool refused = event.is_refusal();
  const bool inbound = event.direction == "in";
  ordered_json object{
      {"class_uid", kClass},
      {"category_uid", kClass / 1000},
      {"activity_id", static_cast<int>(*activity)},
      {"type_uid", kClass * 100 + *activity},
      {"severity_id", refused ? 2 : 1},
      {"time", millis(event.time)},
      {"action_id", refused ? 2 : 1},
      {"disposition_id", refused ? 2 : 1},
      {"status_id", refused || *activity == kFail ? 2 : 1},
      {"status_detail", refused || event.outcome.empty() ? event.reason : event.outcome},
      {"metadata", metadata(event)},
      {"connection_info",
       {{"uid", event.flow},
        {"protocol_name", event.proto},
        {"protocol_num", tuple->flow.protocol},
        {"direction_id", inbound ? 1 : 2},
        {"community_uid", community_id(tuple->flow)}}},
      {"src_endpoint", endpoint(tuple->flow.source)},
      {"dst_endpoint", endpoint(tuple->flow.destination)}};
  if (!event.name.empty())
    object[inbound ? "src_endpoint" : "dst_endpoint"]["hostname"] = event.name;
  if (*activity != kOpen) {
    object["start_time"] = millis(event.opened);
    object["end_time"] = millis(event.time);
    object["duration"] =
        std::chrono::duration_cast<std::chrono::milliseconds>(event.duration).count();
    object["traffic"] = {{"bytes_out", tuple->bytes_by_source},
                         {"bytes_in", tuple->bytes_by_destination},
                         {"bytes", tuple->bytes_by_source + tuple->bytes_by_destination}};
  }
  return text_of(object);
}

}  // namespace sluice::app
