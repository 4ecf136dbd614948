// An event as a person reads it: one line, in columns, the name first.
//
//   12:00:00.123  open    example.org:443/tcp              192.0.2.7
//   12:00:01.373  close   example.org:443/tcp              192.0.2.7  120 B out, 5.2 KiB in
//   12:00:02.000  deny    192.0.2.8:53/udp                 address-unlisted, by policy
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "telemetry/events/seen_event.h"
#include "telemetry/report.h"

namespace sluice::telemetry {

// With a newline. Times are local ones. Where the line would be wider than the terminal (0: it is
// none), what is said of the target stands in a line of its own below it.
[[nodiscard]] std::string event_row(const SeenEvent& event, Color color, std::size_t width = 0);

// What a terminal may show of any text: printable ASCII as it is, each other byte as \DDD.
[[nodiscard]] std::string plain(std::string_view text);

// "example.org:443/tcp": whom the flow is with, by name where it has one. Of an inbound flow the
// guest's end and the client: "10.0.2.15:80/tcp < 192.0.2.9:40000".
[[nodiscard]] std::string target_text(const SeenEvent& event);

}  // namespace sluice::telemetry
