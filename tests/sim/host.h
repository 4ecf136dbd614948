// The host: sockets with a send and a receive buffer, and behind each a peer that reads and writes
// at its own pace. It carries out the engine's TCP actions just as driver/io/tcp_io does, the spill
// included, and checks what it is asked to do.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/stream_buffer.h"
#include "flow/engine/engine.h"
#include "scenario.h"

namespace sluice::sim {

class Host {
 public:
  enum class EventKind : std::uint8_t { kConnect, kPeer, kReset };
  struct Event {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;
    EventKind kind{};
  };
  using Schedule = std::function<void(Instant, const Event&)>;

  // References are not owned.
  Host(const Scenario& scenario, flow::TcpFlows& flows, flow::ActionSink& sink, Schedule schedule);

  void connect(const flow::ConnectTcp& action, Instant now);
  void adopt(flow::TcpId id, std::uint32_t connection, Instant now);
  void stash(const flow::StashTcp& action);
  void write(const flow::WriteTcp& action, Instant now);
  void peek(const flow::PeekTcp& action, Instant now);
  void discard(const flow::DiscardTcp& action, Instant now);
  void shutdown(const flow::ShutdownTcp& action, Instant now);
  void close(const flow::CloseTcp& action, Instant now);
  // The command has ended: from here on sockets are closed with bytes under way.
  void begin_drain() { draining_ = true; }
  // Its peer is there.
  void probe(const flow::ProbeTcp& action) { flows_.on_probed(action.flow, true, sink_); }
  void on_event(const Event& event, Instant now);

  // Who may touch a socket. One that is asked for stands still.
  enum class Holder : std::uint8_t { kEngine, kNobody, kCarrier };
  // False when there is no such socket.
  bool give_to(flow::TcpId id, Holder holder, Instant now);
  // The part of driver/fast_path/carrier: what is called when a socket of its own has news, and the
  // calls.
  void set_carrier(std::function<void(std::uint32_t)> news) { carrier_ = std::move(news); }
  struct SocketState {
    std::uint64_t taken = 0;  // The end of what the socket's buffer ever took.
    std::uint64_t head = 0;   // The first byte that waits for the guest ...
    std::uint64_t arrived = 0;
    std::uint64_t readable = 0;  // By one call: an urgent byte ends it.
    std::uint32_t spilled = 0;
    bool end_arrived = false;
    bool reset = false;
    bool shut = false;
  };
  [[nodiscard]] SocketState state_of(flow::TcpId id);
  // Of the guest's next bytes; returns how many there was room for.
  std::uint64_t send(flow::TcpId id, std::uint64_t count, Instant now);
  void receive(flow::TcpId id, std::uint64_t count, Instant now);
  void pass_end(flow::TcpId id, Instant now);

  // What became of a connection of the scenario, over all its sockets.
  struct Result {
    bool connect_failed = false;
    bool was_open = false;
    bool peer_reset = false;         // The peer sent a RST ...
    bool reset_after_end = false;    // ... behind its FIN,
    std::uint64_t before_reset = 0;  // ... and behind so many bytes.
    bool got_reset = false;          // ... or got one.
    bool got_end = false;            // It read everything up to the guest's FIN.
    bool closed_cleanly = false;     // The engine closed the socket without a RST.
    bool lost = false;               // As its socket's queue came up short.
    std::uint64_t received = 0;
  };
  [[nodiscard]] const Result& result(std::uint32_t connection) const {
    return results_[connection];
  }
  // How many flows the engine had for it.
  [[nodiscard]] std::uint32_t flows_of(std::uint32_t connection) const {
    return flows_of_[connection];
  }
  // How often a read ended in front of an urgent byte.
  [[nodiscard]] std::uint64_t urgent_stops() const { return urgent_stops_; }
  [[nodiscard]] std::size_t open_sockets() const;
  [[nodiscard]] const BlockPool& pool() const { return pool_; }
  // Called when the guest's own end is known, to check what a FIN or RST of ours stands for.
  struct GuestState {
    bool fin_was_sent = false;
    bool sent_reset = false;
    bool gone = false;  // Refused, by the guest or by whoever decides, or reset by us.
    // Where in its stream its RST stood; nothing when packets may have overtaken each other.
    std::optional<std::uint64_t> reset_at{};
  };
  void set_guest_view(std::function<GuestState(std::uint32_t)> view) { guest_ = std::move(view); }
  [[nodiscard]] std::uint32_t connection_to(const wire::Endpoint& target) const;

 private:
  struct Socket {
    flow::TcpId id{};
    bool used = false;
    Holder holder = Holder::kEngine;
    bool open = false;  // The connect was answered with success.
    std::uint32_t generation = 0;
    std::uint32_t connection = 0;
    // Guest to peer.
    std::uint64_t taken = 0;  // By the socket's buffer, in all.
    std::uint64_t peer_read = 0;
    bool short_write = false;  // Someone waits for it to become writable.
    bool shut = false;
    std::uint32_t room = 0;  // As the driver reckons.
    // Peer to guest.
    std::uint64_t arrived = 0;  // In the receive buffer or discarded.
    std::uint64_t head = 0;
    bool fin_arrived = false;
    bool reset = false;
    std::uint32_t writes = 0;
    std::optional<std::uint64_t> mark{};  // The urgent byte, until it is taken off the queue.
    bool urgent = false;                  // As driver/io/tcp_io: marks may be in the queue.
    bool lost = false;
    Instant opened{};
    Instant next_write{};
    Instant next_read{};
    std::unique_ptr<StreamBuffer> spill{};
    std::uint64_t spill_begin = 0;
    std::uint64_t spill_end = 0;
    bool waiting_for_peer = false;  // A kPeer event is scheduled.

    [[nodiscard]] std::uint32_t waiting() const {
      return static_cast<std::uint32_t>(spill_end - spill_begin);
    }
  };

  [[nodiscard]] Socket* find(flow::TcpId id);
  // For an action of the engine.
  [[nodiscard]] Socket* find_held(flow::TcpId id);
  [[nodiscard]] Socket& carried(flow::TcpId id);
  [[nodiscard]] Socket& place(flow::TcpId id, std::uint32_t connection);
  [[nodiscard]] const ConnectionPlan& plan(const Socket& socket) const {
    return scenario_.connections[socket.connection];
  }
  [[nodiscard]] std::uint32_t free_space(const Socket& socket) const;
  // The socket takes what fits; checks that they are the guest's bytes.
  std::size_t take(Socket& socket, std::uint64_t offset, ByteView bytes);
  void spill_ranges(Socket& socket, const flow::WriteTcp& action, std::uint64_t from);
  void flush_spill(Socket& socket);
  void update_room(Socket& socket) const;
  void note_pool() { flows_.set_spill_free(pool_.bytes_free()); }
  void open(Socket& socket, Instant now);
  void run_peer(Socket& socket, Instant now);
  void peer_resets(Socket& socket, Instant now);
  void peer_reads(Socket& socket, Instant now);
  void peer_writes(Socket& socket, Instant now);
  void note_write(Socket& socket);
  void tell_readable(Socket& socket, Instant now);
  void plan_peer(Socket& socket, Instant now);
  void shut(Socket& socket, Instant now);
  void release(Socket& socket);
  void check_guests_reset(Socket& socket, const GuestState& guest);
  void close_at_end(Socket& socket, const flow::CloseTcp& action);
  [[nodiscard]] bool peer_ends(const Socket& socket) const;
  // How far a read goes that begins here.
  [[nodiscard]] static std::uint64_t read_until(const Socket& socket, std::uint64_t from);
  void take_off(Socket& socket, std::uint64_t count);

  const Scenario& scenario_;
  flow::TcpFlows& flows_;
  flow::ActionSink& sink_;
  Schedule schedule_;
  std::function<GuestState(std::uint32_t)> guest_;
  std::function<void(std::uint32_t)> carrier_;
  BlockPool pool_;
  bool draining_ = false;
  std::uint64_t urgent_stops_ = 0;
  std::deque<Socket> sockets_;
  std::vector<Result> results_;
  std::vector<std::uint32_t> flows_of_;
};

}  // namespace sluice::sim
