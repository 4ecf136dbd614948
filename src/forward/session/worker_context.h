// What the parts of one worker share. Owned by the worker, used from its thread only.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "base/timer_wheel.h"
#include "forward/log/session_log.h"
#include "forward/session/session_outbox.h"
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
  Instant now{};                    // Of this turn.
  SessionOutbox* outbox = nullptr;  // Not owned; null: nobody ever looks on.
  std::uint64_t last_session = 0;   // The number that names the last one in this process.
};

}  // namespace sluice::forward
