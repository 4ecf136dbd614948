// The connections that were handed over to the guest's kernel, and those between the loopbacks:
// each is a socket in the guest's namespace and one of the host's, joined by relay/. The engine
// keeps the flow and is told what passes. Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "base/slab.h"
#include "base/time.h"
#include "base/timer_wheel.h"
#include "driver/io/event_tag.h"
#include "flow/core/action.h"
#include "flow/tcp/tcp_flows.h"
#include "host/tcp_socket.h"
#include "relay/pair.h"
#include "relay/pools.h"
#include "relay/pump_queue.h"
#include "sys/event_loop.h"
#include "telemetry/metrics/totals.h"

namespace sluice::driver {

class Carrier {
 public:
  // References are not owned.
  Carrier(sys::Kernel& kernel, sys::EventLoop& loop, flow::TcpFlows& flows, Instant now);
  ~Carrier();

  struct Ends {
    host::TcpSocket guest;
    host::TcpSocket host;      // It may be watched already.
    wire::SeqNum guest_next;   // Of the first byte that the guest's socket receives.
    bool by_loopback = false;  // It was never the link's.
  };
  // False where the guest's socket cannot be watched: both ends are as they were, and the caller's.
  [[nodiscard]] bool start(flow::TcpId id, Ends& ends, Instant now);
  // The policy is another: each counts for the limits that its flow counts for now.
  void follow_limits();
  // The host's socket had failed before start(), and says so no more. `error`: errno.
  void note_host_failed(flow::TcpId id, int error);
  // Ends one at once; false when it is none of ours.
  [[nodiscard]] bool close(const flow::CloseTcp& action);
  // kNever when it is none of ours.
  [[nodiscard]] Instant carried_since(flow::TcpId id) const;
  // Of the host's side; zero when it is none of ours.
  [[nodiscard]] Duration round_trip(flow::TcpId id) const;
  // Whether the guest's socket has all that stands before this sequence number, or is none of ours.
  [[nodiscard]] bool has_received(flow::TcpId id, wire::SeqNum sequence);
  [[nodiscard]] std::size_t size() const { return carried_.size(); }
  // What has passed over all connections, of those that ended, too: those that were handed over,
  // and those between the loopbacks.
  [[nodiscard]] const telemetry::BytesMoved& moved() const { return moved_; }
  [[nodiscard]] const telemetry::BytesMoved& relayed() const { return relayed_; }

  void on_event(const EventTag& tag, std::uint32_t events);
  // Those that events came for, or that have more to do. Tells the engine what moved.
  void run_ready(flow::Turn turn);
  [[nodiscard]] bool has_ready() const { return !ready_.empty(); }

  // For a worker that is about to wait: when to call on_time(), and run_ready() after it.
  [[nodiscard]] Instant next_wakeup(Instant now);
  void on_time(Instant now);

  // Tells the engine what of the guest's waits for a host to take it. Asks the kernel about each.
  void note_waiting();

 private:
  struct Carried {
    relay::Pair pair;
    flow::TcpId id;
    TimerNode timer;
    Instant since{};
    // Both FINs have passed, and the guest has not acknowledged all that it was sent.
    host::TcpSocket closing;
    policy::Outcome outcome = policy::Outcome::kOpen;
    int guest_fd = -1;
    wire::SeqNum guest_begin;         // Of the first byte that the guest's socket received.
    std::uint32_t segments_seen = 0;  // Of the guest's, when we last looked.
    bool queued = false;              // In ready_.
    bool guest_failed = false;
    bool watched = false;  // The guest is asked whether it still knows of the connection.
    // Keep-alives of the guest's: when its last came, and after how much silence the one before.
    Instant probed_at{};
    Duration silence{};
    std::uint32_t keep_alive = 0;    // Seconds of silence before the host is asked; 0: as it came.
    policy::Meter* meter = nullptr;  // Null: there is no limit.
    Instant ends_by = kNever;        // Nothing is left of its limit: when it ends at the latest.
    bool by_loopback = false;
    bool deaf = false;  // The guest hears as little of us as we of the host's peer.
  };

  [[nodiscard]] const Carried* find(flow::TcpId id) const;
  void pump(SlabHandle handle, Carried& carried, flow::Turn turn);
  [[nodiscard]] bool forgotten(Carried& carried);
  void forget(SlabHandle handle, Carried& carried, flow::Turn turn);
  void look_for_segments(Instant now);
  void watch_half_closed(Carried& carried);
  void note_probe(Carried& carried, Instant at, std::uint32_t segments);
  void heed_silence(Carried& carried);
  void end_used_up(Carried& carried, flow::Turn turn);
  void end_when_delivered(SlabHandle handle, Carried& carried, flow::Turn turn);

  sys::EventLoop& loop_;
  flow::TcpFlows& flows_;
  relay::Pools pools_;
  TimerWheel timers_;
  Slab<Carried> carried_;
  std::vector<SlabHandle> by_flow_;  // At the index of the flow's id.
  relay::PumpQueue<Carried> ready_;
  Instant look_at_ = kNever;  // When to look for segments without data.
  telemetry::BytesMoved moved_;
  telemetry::BytesMoved relayed_;
};

}  // namespace sluice::driver
