// One line about any frame, for logs and traces, in the manner of tcpdump:
//
//   10.0.2.15:51000 > 93.184.216.34:80 tcp S seq 1000 win 64240 <mss 1460,sackOK,ws 7> len 0
#pragma once

#include <string>

#include "base/bytes.h"

namespace sluice::wire {

// Never fails: what cannot be read is named with its reason. The line holds printable ASCII only,
// whatever the frame holds. Allocates; not for the hot path unless somebody reads the trace.
[[nodiscard]] std::string pretty_frame(ByteView ethernet_frame);

// The same for a packet without its Ethernet header.
[[nodiscard]] std::string pretty_ip_packet(ByteView packet);

}  // namespace sluice::wire
