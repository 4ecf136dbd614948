// Rules that listen on streams: admits clients, reads PROXY headers, connects to targets with
// failover, relays, and tells how it ended. Of one worker; not thread-safe.
//
// A client that is refused, or whose target cannot be reached, is reset: it sees at once what it
// would see without us.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/slab.h"
#include "forward/session/connect_race.h"
#include "forward/session/event_tag.h"
#include "forward/session/session_list.h"
#include "forward/session/worker_context.h"
#include "forward/tcp/tcp_connection.h"
#include "forward/tcp/tcp_listeners.h"
#include "forward/tcp/tcp_to_udp.h"
#include "relay/pump_queue.h"

namespace sluice::forward {

class TcpForwarder {
 public:
  // `to_udp` gets the clients of rules that lead to UDP. `listeners` is told when descriptors run
  // out.
  TcpForwarder(WorkerContext& context, TcpToUdp& to_udp);
  ~TcpForwarder();
  void set_listeners(TcpListeners& listeners) { listeners_ = &listeners; }

  // A client of that listener, in no event loop yet.
  void begin(const ListenerRule& listener, AcceptedClient client);

  void on_event(EventTag tag, std::uint32_t events);        // kClient, kTarget
  void on_racer_event(EventTag tag, std::uint32_t events);  // kTargetRacer
  void on_timer(EventTag tag);
  // Moves what became ready, each session up to its share; true when there is more to do.
  [[nodiscard]] bool run_ready();

  [[nodiscard]] std::size_t sessions() const { return connections_.size(); }
  void end_all();
  void publish_counters();
  // As session_list.h has them.
  [[nodiscard]] std::uint32_t list(SessionRange range, std::vector<SessionRecord>& out);
  // Resets both sides. False: there is no such session.
  [[nodiscard]] bool kill(std::uint64_t number);

 private:
  // --- Opening (tcp_opening.cc) ---
  void read_header(SlabHandle handle, TcpConnection& connection);
  void take_header(SlabHandle handle, TcpConnection& connection);
  void admit(SlabHandle handle, TcpConnection& connection);
  void leave_to_udp(SlabHandle handle, TcpConnection& connection);
  void connect(SlabHandle handle, TcpConnection& connection, std::optional<Destination> next);
  void wait_for_descriptor(TcpConnection& connection, const Destination& destination);
  void on_connect_event(SlabHandle handle, TcpConnection& connection);
  void on_connect_timer(SlabHandle handle, TcpConnection& connection);
  void follow_race(SlabHandle handle, TcpConnection& connection, RaceStep step);
  void target_answered(SlabHandle handle, TcpConnection& connection, bool was_reset);
  void on_opening_timer(SlabHandle handle, TcpConnection& connection);
  void refuse(SlabHandle handle, TcpConnection& connection, SessionResult why);

  // --- Relaying (tcp_relaying.cc) ---
  void start_relay(SlabHandle handle, TcpConnection& connection);
  void pump(SlabHandle handle, TcpConnection& connection);
  void arm_relay_timer(TcpConnection& connection, relay::PairStatus status);
  void on_relay_timer(SlabHandle handle, TcpConnection& connection);
  void stop(SlabHandle handle, TcpConnection& connection, SessionResult why);
  void finish(SlabHandle handle, TcpConnection& connection, SessionResult result, int error);
  void tell(const TcpConnection& connection, SessionResult result, int error);
  // Of one that lives.
  [[nodiscard]] SessionFacts facts_of(const TcpConnection& connection) const;

  // --- Shared ---
  // Interest in everything, edge-triggered, for good.
  [[nodiscard]] bool watch(int fd, EventKind side, SlabHandle handle);
  // The same once, and no more when it is asked for again.
  [[nodiscard]] bool watch_client(SlabHandle handle, TcpConnection& connection);
  void on_early_client_event(SlabHandle handle, TcpConnection& connection);

  WorkerContext& context_;
  TcpToUdp& to_udp_;
  TcpListeners* listeners_ = nullptr;
  ConnectRaces races_;  // Outlives the sessions.
  Slab<TcpConnection> connections_;
  std::size_t header_readers_ = 0;
  relay::PumpQueue<TcpConnection> ready_;
};

}  // namespace sluice::forward
