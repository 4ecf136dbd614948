// What all parts that hold sockets of the host share. Nothing is owned.
#pragma once

#include "host/outbound.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"

namespace sluice::driver {

struct IoContext {
  sys::Kernel& kernel;
  sys::EventLoop& loop;
  const host::Outbound& outbound;
};

}  // namespace sluice::driver
