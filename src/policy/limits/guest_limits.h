// Bounds on the flows of one guest, of which strangers never get more than half: the other half is
// the guest's own whatever comes from outside. Not thread-safe: a worker owns its own, or all share
// one behind SharedLimits.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"
#include "policy/limits/limits.h"
#include "policy/verdict.h"

namespace sluice::policy {

// Who began a flow, and what it costs: a stream from outside has a descriptor of ours, a session of
// datagrams shares that of its port.
enum class FlowSide : std::uint8_t { kOutbound, kInboundStream, kInboundDatagram };

class GuestLimits {
 public:
  // `inbound_streams` bounds connections from outside, so that they leave descriptors to the
  // guest's own; zero is no bound.
  GuestLimits(const LimitOptions& options, std::uint32_t inbound_streams)
      : all_(options),
        inbound_({.max_flows = share_of(options.max_flows),
                  .new_flows_per_second = share_of(options.new_flows_per_second)}),
        streams_({.max_flows = inbound_streams}) {}

  // kAccepted, which counts the flow until released(); else kTooManyFlows or kTooManyNewFlows.
  // `now` as for FlowLimits::admit().
  [[nodiscard]] Verdict admit(FlowSide side, Instant now);
  // Whether admit() would not say kTooManyFlows.
  [[nodiscard]] bool has_room(FlowSide side) const;
  // A flow that was admitted has ended.
  void released(FlowSide side);

  [[nodiscard]] std::uint32_t active() const { return all_.active(); }
  [[nodiscard]] std::uint32_t inbound() const { return inbound_.active(); }

 private:
  // Of a bound; none of none.
  [[nodiscard]] static std::uint32_t share_of(std::uint32_t bound) {
    return bound == 0 ? 0 : std::max<std::uint32_t>(1, bound / 2);
  }

  FlowLimits all_;
  FlowLimits inbound_;
  FlowLimits streams_;
};

// The same where several workers have flows of one guest, for all of them together: to be called
// by any thread, where a flow begins or ends.
class SharedLimits {
 public:
  [[nodiscard]] virtual Verdict admit(FlowSide side, Instant now) = 0;
  [[nodiscard]] virtual bool has_room(FlowSide side) const = 0;
  virtual void released(FlowSide side) = 0;

 protected:
  ~SharedLimits() = default;
};

}  // namespace sluice::policy
