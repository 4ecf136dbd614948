// What TCP, UDP and ICMP flows of one guest share, to be passed on in one piece.
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "base/timer_wheel.h"
#include "flow/core/flow_admission.h"
#include "flow/core/frame_owner.h"
#include "flow/core/target_map.h"
#include "flow/ip/guest_link.h"

namespace sluice::flow {

// Nothing is owned, and all of it outlives the flows.
struct FlowContext {
  GuestLink& link;
  FlowAdmission& admission;
  const TargetMap& targets;
  TimerWheel& timers;
  std::uint32_t timer_kind = 0;  // The upper half of each timer's owner value.
  const HashSecret& table_secret;
  const FrameShare& share;
};

}  // namespace sluice::flow
