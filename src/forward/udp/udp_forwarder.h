// Rules that listen on UDP. To a UDP target: a session (a connected socket) for each client
// endpoint. To a TCP target: a stream for each client endpoint (udp_to_tcp.h).
//
// Datagrams come in batches (recvmmsg, GRO), are sorted by session and go out in batches (sendmmsg,
// GSO), both ways. Order is kept within a session. A session holds no buffer; nothing is queued
// between datagram sockets: what the kernel has no room for is dropped and counted.
//
// How many sessions: UdpBounds, beside the rule's own limits. At the bound, and where the process
// has no descriptor left, the oldest session whose client has spoken only once makes room, answered
// or not; then one that is idle: for a second without an answer, for kQuietConversation with one.
// Is there none, the new client is refused. So a flood with forged sources displaces itself and
// never a conversation. What it costs the others is bounded as well: new sessions by a rate, and
// where they come in crowds by a share of each turn, after what others have to do in it.
//
// ICMP errors. About datagrams to the target: a session that had no answer yet moves to the next
// target; else it ends, and the client's next datagram begins another. The client itself is told
// nothing: an ICMP error to it would need a raw socket. About datagrams to the client: its session
// ends, its socket closes, and the target's next datagram meets "port unreachable" by the kernel.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <vector>

#include "base/slab.h"
#include "forward/session/event_tag.h"
#include "forward/session/live_rule.h"
#include "forward/session/session_list.h"
#include "forward/session/worker_context.h"
#include "forward/udp/udp_refusals.h"
#include "forward/udp/udp_session.h"
#include "forward/udp/udp_session_table.h"
#include "host/datagram_batch.h"
#include "host/datagram_rows.h"
#include "host/udp_socket.h"
#include "policy/limits/token_bucket.h"
#include "sys/sys_error.h"

namespace sluice::forward {

// Of one worker.
struct UdpBounds {
  // A descriptor each. The pool gives all workers together less than the process has: TCP must not
  // go without for datagrams that anybody may forge.
  std::size_t sessions = 65'536;
  std::uint64_t new_per_second = 4'096;  // As many may come at once.
};

class UdpForwarder {
 public:
  // A conversation, which both sides have taken part in, that was idle for so long may make room.
  static constexpr Duration kQuietConversation = std::chrono::seconds{30};
  // After a session could not begin: how long its client's datagrams are dropped unseen.
  static constexpr Duration kBackOff = std::chrono::milliseconds{200};

  explicit UdpForwarder(WorkerContext& context, const UdpBounds& bounds = {});
  ~UdpForwarder();
  UdpForwarder(const UdpForwarder&) = delete;
  UdpForwarder& operator=(const UdpForwarder&) = delete;

  // Takes over a bound socket that set_datagram_options() has prepared. The result names the
  // listener. Sessions of closed listeners whose clients it reaches go on with it. Fails when the
  // socket cannot be watched, and closes it.
  [[nodiscard]] std::expected<SlabHandle, sys::SysError> listen(sys::KernelFd socket,
                                                                std::shared_ptr<LiveRule> rule,
                                                                std::uint16_t port,
                                                                std::uint16_t port_offset);
  // New sessions follow this rule; those that are go on as they began.
  void set_rule(SlabHandle listener, std::shared_ptr<LiveRule> rule);
  // Reads no more from clients; answers still go out until the sessions end.
  void close(SlabHandle listener);

  // kUdpListener, kUdpSession, kUdpStream, kUdpRacer
  void on_event(EventTag tag, std::uint32_t events);
  void on_timer(EventTag tag);
  // Continues what used up its share of a turn; true when there is more.
  [[nodiscard]] bool run_pending();

  [[nodiscard]] std::size_t sessions() const { return sessions_.size(); }
  // Those with traffic in the last `quiet`; the others are ended.
  [[nodiscard]] std::size_t end_quiet(Duration quiet);
  void end_all();
  void publish_counters();
  // As session_list.h has them.
  [[nodiscard]] std::uint32_t list(SessionRange range, std::vector<SessionRecord>& out);
  // The client's next datagram begins another. False: there is no such session.
  [[nodiscard]] bool kill(std::uint64_t number);

 private:
  static constexpr std::size_t kRows = 32;
  static constexpr std::uint8_t kChainEnd = 0xff;
  // What beginning a session costs: the system calls of one to a datagram target are the unit.
  static constexpr std::size_t kDatagramEffort = 1;
  static constexpr std::size_t kStreamEffort = 4;
  static constexpr std::size_t kEffortPerTurn = 4;  // Of crowds, over all listeners.
  // So much in a batch is a crowd, and is expected to be one for so long.
  static constexpr std::size_t kCrowd = 4;
  static constexpr Duration kCrowdLasts = std::chrono::milliseconds{100};

  // --- Listeners, udp_forwarder.cc ---
  void take_over_closed(SlabHandle handle);
  void read_listener(SlabHandle handle);
  void read_crowd(SlabHandle handle);
  [[nodiscard]] bool is_crowded(const UdpListener& listener) const {
    return context_.now < listener.crowded_until;
  }
  void read_listener_errors(SlabHandle handle);
  void mark_pending(SlabHandle handle, UdpListener& listener);
  void forget(SlabHandle handle, UdpListener& listener);
  void release_listener(std::uint32_t index);

  // --- From clients, udp_session_deliver.cc ---
  void deliver(SlabHandle listener, std::span<host::IncomingDatagram> slots);
  [[nodiscard]] std::uint32_t session_for(SlabHandle listener, const host::IncomingDatagram& slot);
  void deliver_chain(std::uint32_t index, std::span<host::IncomingDatagram> slots);
  void send_to_target(UdpSession& session, std::span<host::IncomingDatagram> slots);
  void push_to_stream(std::uint32_t index, std::span<host::IncomingDatagram> slots);

  // --- From targets, udp_session_answer.cc ---
  void read_answers(SlabHandle handle);
  void read_errors(SlabHandle handle);
  void on_stream_event(SlabHandle handle, std::uint32_t events);
  void read_stream(SlabHandle handle);
  void answer(UdpSession& session, ByteView bytes, std::uint16_t segment_size);
  void flush_answers(UdpSession& session);
  void note_answer(UdpSession& session);
  void mark_pending(SlabHandle handle, UdpSession& session);

  // --- Beginning and end, udp_session_open.cc ---
  [[nodiscard]] std::uint32_t open_session(SlabHandle listener, const UdpSessionKey& key,
                                           const host::IncomingDatagram& slot);
  [[nodiscard]] std::uint32_t refuse(const UdpListener& listener, const UdpSessionKey& key,
                                     SessionResult result, std::size_t datagrams);
  // Ends a session that may go; never the one that was begun last.
  [[nodiscard]] bool make_room();
  [[nodiscard]] bool evict_oldest_once();
  [[nodiscard]] bool evict_idle();
  void heard_again(std::uint32_t index, UdpSession& session);
  [[nodiscard]] SessionQueue& queue_of(const UdpSession& session) {
    return session.talks ? talking_ : spoke_once_;
  }
  // Zero, or errno: no target is left.
  [[nodiscard]] int connect(SlabHandle handle, UdpSession& session,
                            std::optional<Destination> destination);
  [[nodiscard]] std::expected<void, sys::SysError> connect_once(SlabHandle handle,
                                                                UdpSession& session,
                                                                const Destination& destination);
  // Once more where it lacked a descriptor and a session could make room.
  template <typename Open>
  [[nodiscard]] auto with_room(const Open& open) {
    auto opened = open();
    if (!opened && sys::is_exhaustion(opened.error().error) && make_room()) opened = open();
    return opened;
  }
  void opened(UdpSession& session);
  void failed(UdpSession& session, int error);
  void retry_or_fail(SlabHandle handle, UdpSession& session, int error,
                     std::optional<Destination> next);
  void on_connect_timer(SlabHandle handle, UdpSession& session);
  void on_racer_event(EventTag tag, std::uint32_t events);
  void follow_race(SlabHandle handle, UdpSession& session, RaceStep step);
  void on_target_error(SlabHandle handle, UdpSession& session, int error);
  void end(SlabHandle handle, SessionResult result, int error);
  void settle_accounts(UdpSession& session, SessionResult result, int error);
  void log(const UdpSession& session, SessionResult result, int error);

  [[nodiscard]] std::uint32_t find_session(const UdpSessionKey& key) {
    return table_.find(
        key, [this](std::uint32_t at) -> const UdpSessionKey& { return sessions_.at(at).key; });
  }

  WorkerContext& context_;
  const UdpBounds bounds_;
  policy::TokenBucket newcomers_;
  Slab<UdpListener> listeners_;
  ConnectRaces races_;  // Outlives the sessions.
  Slab<UdpSession> sessions_;
  const SipKey secret_;
  UdpSessionTable table_;
  SessionQueue spoke_once_;
  SessionQueue talking_;
  UdpRefusals refusals_;
  host::DatagramRows rows_;
  host::DatagramBatch batch_;
  std::uint64_t batch_number_ = 0;
  std::size_t effort_ = 0;  // Since the last run_pending() began.
  std::array<std::uint8_t, kRows> next_slot_{};
  std::vector<SlabHandle> pending_listeners_;
  std::vector<SlabHandle> pending_sessions_;
};

}  // namespace sluice::forward
