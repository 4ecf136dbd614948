// "Settle before a buffer is used again" as a type. The engine borrows bytes from the buffers of
// its driver: actions and frames in its sink refer to them until they were carried out and written.
// So whoever is about to use such a buffer again asks for a Settled, or for FramesWritten where
// only frames can borrow it, which exist for a sink that is empty. That it is so is checked, at the
// price of a comparison.
#pragma once

#include "base/time.h"
#include "base/unreachable.h"
#include "flow/core/action.h"

namespace sluice::driver {

class FramesWritten {
 public:
  FramesWritten(Instant when, flow::ActionSink& sink) : now(when), out(sink) {
    if (!sink.frames().empty()) [[unlikely]]
      unreachable("a buffer is used again while frames borrow it");
  }

  const Instant now;
  flow::ActionSink& out;
};

class Settled {
 public:
  Settled(Instant when, flow::ActionSink& sink) : now(when), out(sink) {
    if (!sink.actions().empty() || !sink.frames().empty()) [[unlikely]]
      unreachable("a buffer is used again while actions or frames borrow it");
  }

  const Instant now;
  flow::ActionSink& out;
};

}  // namespace sluice::driver
