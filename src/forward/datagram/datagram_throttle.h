// What the rates of a rule and a client let pass of datagrams that came together. Datagrams do not
// wait: those over the rate are dropped, as a slow link would.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "host/datagram.h"
#include "relay/pair.h"

namespace sluice::forward {

// Of `bytes`, datagrams of `segment_size` each (0: one), how many bytes from the front pass: whole
// datagrams. Nothing: none, not even an empty one.
struct Passed {
  std::size_t bytes = 0;
  std::size_t dropped = 0;  // Datagrams.
};

[[nodiscard]] inline Passed pass_throttle(const relay::Throttle& throttle, std::size_t bytes,
                                          std::size_t segment_size, Instant now) {
  if (throttle.rule == nullptr && throttle.client == nullptr) return {bytes, 0};
  std::size_t room = bytes;
  bool open = true;
  for (policy::TokenBucket* bucket : {throttle.rule, throttle.client}) {
    if (bucket == nullptr) continue;
    const std::size_t available = bucket->available(now);
    open = open && available > 0;
    room = std::min(room, available);
  }
  const std::size_t all = host::datagrams_in(bytes, segment_size);
  if (!open) return {0, all};
  // A datagram that exceeds what is there passes and leaves a debt: else a large one never could.
  const std::size_t passing = host::datagrams_in(room, segment_size);
  const std::size_t passed = segment_size == 0 ? bytes : std::min(bytes, passing * segment_size);
  for (policy::TokenBucket* bucket : {throttle.rule, throttle.client}) {
    if (bucket != nullptr) bucket->take(passed, now);
  }
  return {passed, all - passing};
}

}  // namespace sluice::forward
