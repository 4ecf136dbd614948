// The events of docs/events.md as other tools have them. Each function gives a line without its
// newline, or nothing for an event that has no place there.
//
//   OCSF   1.3, class 4001 "Network Activity": flows that begin, end and are refused; class 4003
//          "DNS Activity": questions
//   EVE    Suricata's: "flow" records of flows that have ended, with community_id, of which a
//          refused one has "action":"drop"; "dns", and "tls" and "http" of first bytes. What
//          Suricata has no member for is in an object "sluice"
//   Zeek   tab-separated, a file each: conn.log of flows that have ended, with uid and
//          community_id; dns.log of questions; ssl.log of first bytes
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

[[nodiscard]] std::optional<std::string> zeek_dns_line(const telemetry::SeenEvent& event);
[[nodiscard]] std::string zeek_dns_head();
[[nodiscard]] std::optional<std::string> zeek_ssl_line(const telemetry::SeenEvent& event);
[[nodiscard]] std::string zeek_ssl_head();

}  // namespace sluice::app
