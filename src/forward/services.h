// What the parts of one worker share. Owned by the worker, used from its thread only.
#pragma once

#include "base/time.h"
#include "base/timer_wheel.h"
#include "forward/session_log.h"
#include "host/datagram.h"
#include "host/event_loop.h"
#include "host/kernel.h"
#include "relay/pools.h"

namespace sluice::forward {

struct Services {
  host::Kernel& kernel;
  host::EventLoop& loop;  // Interest is registered edge-triggered, once for each descriptor.
  TimerWheel& timers;     // A node's owner is a packed forward::EventTag.
  relay::Pools& pools;
  host::DatagramScratch& scratch;
  SessionLog& log;
  Instant now{};  // Of this turn.
};

}  // namespace sluice::forward
