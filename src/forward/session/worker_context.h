// What the parts of one worker share. Owned by the worker, used from its thread only.
#pragma once

#include "base/time.h"
#include "base/timer_wheel.h"
#include "forward/log/session_log.h"
#include "host/datagram.h"
#include "relay/pools.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"

namespace sluice::forward {

struct WorkerContext {
  sys::Kernel& kernel;
  sys::EventLoop& loop;  // Interest is registered edge-triggered, once for each descriptor.
  TimerWheel& timers;    // A node's owner is a packed forward::EventTag.
  relay::Pools& pools;
  host::DatagramScratch& scratch;
  SessionLog& log;
  Instant now{};  // Of this turn.
};

}  // namespace sluice::forward
