// Who called whom, of an event that is of a flow: the guest, or the client of a published port.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/log/community_id.h"
#include "telemetry/events/seen_event.h"

namespace sluice::app {

struct EventTuple {
  FlowTuple flow;
  std::uint64_t bytes_by_source = 0;
  std::uint64_t bytes_by_destination = 0;
};

// Nothing where the event is of no flow, or its addresses are none.
[[nodiscard]] std::optional<EventTuple> tuple_of(const telemetry::SeenEvent& event);

// The number that the 16 digits of an event's flow are; 0 where they are none.
[[nodiscard]] std::uint64_t flow_number_of(const telemetry::SeenEvent& event);

}  // namespace sluice::app
