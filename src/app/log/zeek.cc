// Zeek's conn.log: https://docs.zeek.org/en/master/logs/conn.html
#include <fmt/format.h>

#include <array>

#include "app/log/event_tuple.h"
#include "app/log/formats.h"
#include "app/log/zeek_text.h"

namespace sluice::app {
namespace {

using telemetry::SeenEvent;
using zeek::Field;
using zeek::field;
using zeek::seconds;
using zeek::uid_of;

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

}  // namespace

std::string zeek_head() { return zeek::head("conn", kFields); }

std::optional<std::string> zeek_line(const SeenEvent& event) {
  const auto tuple = tuple_of(event);
  if (!tuple || (event.type != "close" && !event.is_refusal())) return std::nullopt;
  const bool inbound = event.direction == "in";
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t-\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
                     seconds(event.opened.time_since_epoch()), uid_of(flow_number_of(event)),
                     wire::to_string(tuple->flow.source.address), tuple->flow.source.port.value,
                     wire::to_string(tuple->flow.destination.address),
                     tuple->flow.destination.port.value, field(event.proto),
                     seconds(event.duration), tuple->bytes_by_source, tuple->bytes_by_destination,
                     state_of(event), inbound ? 'F' : 'T', inbound ? 'T' : 'F',
                     community_id(tuple->flow), field(event.name), field(event.reason));
}

}  // namespace sluice::app
