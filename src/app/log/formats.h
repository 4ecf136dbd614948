// The events of docs/events.md as other tools have them. Each function gives a line without its
// newline, or nothing for an event that has no place there.
//
//   OCSF   1.3, class 4001 "Network Activity": flows that begin, end and are refused
//   EVE    Suricata's: "flow" records of flows that have ended, with community_id; a refused one
//   has
//          "action":"drop". What Suricata has no member for is in an object "sluice"
//   Zeek   conn.log, tab-separated, of flows that have ended, with uid and community_id
//
// What a run calls a flow becomes its uid (Zeek), flow_id (EVE) and connection_info.uid (OCSF), so
// that records of one flow join there as here.
#pragma once

#include <optional>
#include <string>

#include "telemetry/events/seen_event.h"

namespace sluice::app {

[[nodiscard]] std::optional<std::string> ocsf_line(const telemetry::SeenEvent& event);
[[nodiscard]] std::optional<std::string> eve_line(const telemetry::SeenEvent& event);
[[nodiscard]] std::optional<std::string> zeek_line(const telemetry::SeenEvent& event);

// What a Zeek log begins with; ends its last line.
[[nodiscard]] std::string zeek_head();

}  // namespace sluice::app
