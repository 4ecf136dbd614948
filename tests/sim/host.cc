#include "host.h"

#include <algorithm>
#include <array>

#include "check.h"
#include "guest_tcp.h"
#include "pattern.h"

namespace sluice::sim {
namespace {

// As in driver/io/tcp_io.
constexpr std::uint32_t kRoomAtFirst = 64 * 1024;
constexpr std::uint32_t kRoomLow = 512 * 1024;
constexpr std::uint32_t kPeekMax = 256 * 1024;

}  // namespace

Host::Host(const Scenario& scenario, flow::TcpFlows& flows, flow::ActionSink& sink,
           Schedule schedule)
    : scenario_(scenario),
      flows_(flows),
      sink_(sink),
      schedule_(std::move(schedule)),
      pool_(scenario.pool_bytes),
      results_(scenario.connections.size()),
      flows_of_(scenario.connections.size()) {
  note_pool();
}

std::uint32_t Host::connection_to(const wire::Endpoint& target) const {
  for (std::uint32_t i = 0; i < scenario_.connections.size(); ++i) {
    if (scenario_.connections[i].remote == target) return i;
  }
  throw Failure("a connect goes where the guest asked");
}

Host::Socket* Host::find(flow::TcpId id) {
  if (id.index >= sockets_.size()) return nullptr;
  Socket& socket = sockets_[id.index];
  return socket.used && socket.id == id ? &socket : nullptr;
}

Host::Socket& Host::place(flow::TcpId id, std::uint32_t connection) {
  while (sockets_.size() <= id.index) sockets_.emplace_back();
  Socket& socket = sockets_[id.index];
  check(!socket.used, "a flow's place is free when a new one takes it");
  const std::uint32_t generation = socket.generation + 1;
  socket = Socket{};
  socket.id = id;
  socket.used = true;
  socket.generation = generation;
  socket.connection = connection;
  ++flows_of_[connection];
  return socket;
}

std::size_t Host::open_sockets() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(sockets_, [](const Socket& socket) { return socket.used; }));
}

void Host::connect(const flow::ConnectTcp& action, Instant now) {
  Socket& socket = place(action.flow, connection_to(action.target));
  schedule_(now + plan(socket).connect_delay,
            {action.flow.index, socket.generation, EventKind::kConnect});
}

void Host::adopt(flow::TcpId id, std::uint32_t connection, Instant now) {
  open(place(id, connection), now);
}

void Host::open(Socket& socket, Instant now) {
  socket.open = true;
  socket.room = kRoomAtFirst;
  socket.opened = now;
  socket.next_write = now;
  results_[socket.connection].was_open = true;
  const EndPlan& peer = plan(socket).host_end;
  socket.next_read = now + peer.read_interval;
  if (peer.ending == Ending::kReset) {
    schedule_(now + peer.reset_after, {socket.id.index, socket.generation, EventKind::kReset});
  }
  socket.waiting_for_peer = true;
  schedule_(now, {socket.id.index, socket.generation, EventKind::kPeer});
}

void Host::on_event(const Event& event, Instant now) {
  Socket& socket = sockets_[event.index];
  if (!socket.used || socket.generation != event.generation) return;
  switch (event.kind) {
    case EventKind::kConnect: {
      const flow::TcpId id = socket.id;
      Result& result = results_[socket.connection];
      switch (plan(socket).connect_result) {
        case ConnectResult::kAccepted:
          open(socket, now);
          flows_.on_connected(id, socket.room, {now, sink_});
          return;
        case ConnectResult::kRefused:
          result.connect_failed = true;
          flows_.on_connect_failed(id, flow::HostError::kRefused, {now, sink_});
          return;
        case ConnectResult::kUnreachable:
          result.connect_failed = true;
          flows_.on_connect_failed(id, flow::HostError::kHostUnreachable, {now, sink_});
          return;
        case ConnectResult::kTimedOut:
          result.connect_failed = true;
          flows_.on_connect_failed(id, flow::HostError::kTimedOut, {now, sink_});
          return;
      }
      return;
    }
    case EventKind::kPeer:
      socket.waiting_for_peer = false;
      run_peer(socket, now);
      return;
    case EventKind::kReset: peer_resets(socket, now); return;
  }
}

// The peer.

bool Host::peer_ends(const Socket& socket) const {
  const EndPlan& peer = plan(socket).host_end;
  if (socket.arrived != peer.to_send) return false;
  return peer.ending == Ending::kAfterSending ||
         (peer.ending == Ending::kAfterPeer && results_[socket.connection].got_end);
}

void Host::run_peer(Socket& socket, Instant now) {
  if (socket.reset) return;
  const flow::TcpId id = socket.id;
  peer_reads(socket, now);
  if (find(id) == nullptr) return;
  peer_writes(socket, now);
  if (find(id) == nullptr) return;
  plan_peer(socket, now);
}

void Host::peer_reads(Socket& socket, Instant now) {
  const EndPlan& peer = plan(socket).host_end;
  if (socket.next_read > now) return;
  Result& result = results_[socket.connection];
  const bool at_once = peer.read_interval == Duration::zero();
  const std::uint64_t until =
      at_once ? socket.taken : std::min(socket.taken, socket.peer_read + peer.read_chunk);
  socket.peer_read = until;
  result.received = until;
  if (!at_once) socket.next_read = now + peer.read_interval;
  if (socket.shut && socket.peer_read == socket.taken) result.got_end = true;
  // The kernel reports a socket as writable again when a third of its buffer is free.
  if (socket.short_write && free_space(socket) >= plan(socket).send_buffer / 3) {
    socket.short_write = false;
    if (socket.holder == Holder::kCarrier) {
      carrier_(socket.connection);
    } else if (socket.waiting() > 0) {
      flush_spill(socket);
      update_room(socket);
      flows_.on_room(socket.id, socket.waiting(), socket.room, {now, sink_});
    }
  }
}

void Host::peer_writes(Socket& socket, Instant now) {
  const EndPlan& peer = plan(socket).host_end;
  bool news = false;
  if (socket.next_write <= now && socket.arrived < peer.to_send) {
    const std::uint64_t space = peer.receive_buffer - (socket.arrived - socket.head);
    const std::uint64_t count =
        std::min<std::uint64_t>({peer.write_chunk, space, peer.to_send - socket.arrived});
    socket.arrived += count;
    if (count > 0) note_write(socket);
    socket.next_write =
        now + std::max<Duration>(peer.write_interval, std::chrono::microseconds(50));
    news = count > 0;
  }
  if (!socket.fin_arrived && peer_ends(socket)) {
    socket.fin_arrived = true;
    news = true;
  }
  if (!news) return;
  if (socket.holder == Holder::kCarrier) {
    carrier_(socket.connection);
  } else {
    tell_readable(socket, now);
  }
}

// When the peer has something to do next.
void Host::plan_peer(Socket& socket, Instant now) {
  if (socket.waiting_for_peer) return;
  const EndPlan& peer = plan(socket).host_end;
  Instant next = kNever;
  if (socket.arrived < peer.to_send) next = std::min(next, std::max(socket.next_write, now));
  if (socket.peer_read < socket.taken || (socket.shut && !results_[socket.connection].got_end)) {
    next = std::min(next, std::max(socket.next_read, now));
  }
  if (!socket.fin_arrived && peer_ends(socket)) next = std::min(next, now);
  if (next == kNever) return;
  socket.waiting_for_peer = true;
  schedule_(next, {socket.id.index, socket.generation, EventKind::kPeer});
}

// The engine's actions.

std::uint32_t Host::free_space(const Socket& socket) const {
  return plan(socket).send_buffer - static_cast<std::uint32_t>(socket.taken - socket.peer_read);
}

std::size_t Host::take(Socket& socket, std::uint64_t offset, ByteView bytes) {
  check(offset == socket.taken, "bytes reach the socket in order");
  check(!socket.shut, "no byte behind our FIN");
  const std::size_t count = std::min<std::size_t>(bytes.size(), free_space(socket));
  check(Pattern::matches(GuestTcp::salt_out(socket.connection), offset, bytes),
        "the guest's bytes arrive unchanged");
  socket.taken += count;
  check(socket.taken <= plan(socket).guest_end.to_send, "no byte that the guest did not send");
  if (count < bytes.size()) socket.short_write = true;
  return count;
}

void Host::stash(const flow::StashTcp& action) {
  Socket* socket = find_held(action.flow);
  if (socket == nullptr || socket->reset) {
    flows_.on_stashed(action.flow, action.bytes.size(), action.bytes.size());
    return;
  }
  if (socket->spill == nullptr) socket->spill = std::make_unique<StreamBuffer>(pool_);
  check(socket->spill->insert(action.offset, action.bytes) == action.bytes.size(),
        "what is to be stashed finds room");
  note_pool();
  flows_.on_stashed(action.flow, action.bytes.size(), action.bytes.size());
}

void Host::spill_ranges(Socket& socket, const flow::WriteTcp& action, std::uint64_t from) {
  if (socket.spill == nullptr) socket.spill = std::make_unique<StreamBuffer>(pool_);
  std::uint64_t offset = action.offset;
  for (std::uint32_t at = action.first_range; at != flow::kNoRange; at = sink_.range(at).next) {
    const ByteView range = sink_.range(at).bytes;
    const std::uint64_t end = offset + range.size();
    if (end > from) {
      const std::size_t skip = from > offset ? static_cast<std::size_t>(from - offset) : 0;
      const ByteView rest = range.subspan(skip);
      const std::size_t kept = socket.spill->insert(offset + skip, rest);
      if (kept < rest.size()) {
        check(scenario_.small_pool, "a large pool never runs out");
        break;
      }
    }
    offset = end;
  }
  socket.spill_end = std::min(action.until, socket.spill->present_until(socket.spill_begin));
}

void Host::write(const flow::WriteTcp& action, Instant now) {
  Socket* socket = find_held(action.flow);
  if (socket == nullptr) return;
  if (socket->reset) {
    flows_.on_written(action.flow, {action.until - action.offset, 0, kRoomAtFirst}, {now, sink_});
    return;
  }
  std::uint64_t sent = 0;
  if (socket->waiting() == 0) {
    std::uint64_t offset = action.offset;
    for (std::uint32_t at = action.first_range; at != flow::kNoRange; at = sink_.range(at).next) {
      const ByteView range = sink_.range(at).bytes;
      const std::size_t count = take(*socket, offset, range);
      sent += count;
      offset += count;
      if (count < range.size()) break;
    }
    socket->room -= std::min<std::uint32_t>(socket->room, static_cast<std::uint32_t>(sent));
    socket->spill_begin = action.offset + sent;
    socket->spill_end = socket->spill_begin;
  } else {
    check(action.offset == socket->spill_end, "a write continues what waits");
  }
  if (action.offset + sent < action.until) {
    spill_ranges(*socket, action, action.offset + sent);
    flush_spill(*socket);
  } else if (socket->spill != nullptr && !socket->spill->holds_blocks()) {
    socket->spill.reset();
  }
  update_room(*socket);
  note_pool();
  const std::uint64_t taken = socket->spill_end - action.offset;
  check(taken <= action.until - action.offset, "no more is taken than was given");
  flows_.on_written(action.flow, {taken, socket->waiting(), socket->room}, {now, sink_});
  if (find(action.flow) == socket) plan_peer(*socket, now);
}

void Host::flush_spill(Socket& socket) {
  while (socket.waiting() > 0) {
    std::array<ByteView, 64> pieces;
    const std::size_t count = socket.spill->pieces(socket.spill_begin, socket.spill_end, pieces);
    bool full = false;
    for (std::size_t i = 0; i < count && !full; ++i) {
      const std::size_t taken = take(socket, socket.spill_begin, pieces[i]);
      socket.spill_begin += taken;
      full = taken < pieces[i].size();
    }
    socket.spill->release_before(socket.spill_begin);
    if (full) break;
  }
  note_pool();
}

void Host::update_room(Socket& socket) const {
  if (socket.waiting() > 0) {
    socket.room = 0;
    return;
  }
  if (socket.room < kRoomLow) socket.room = free_space(socket);
}

void Host::peek(const flow::PeekTcp& action, Instant now) {
  Socket* socket = find_held(action.flow);
  if (socket == nullptr) return;
  const std::uint32_t max = std::min(action.max, kPeekMax);
  check(max > 0, "a peek asks for something");
  const std::uint64_t from = socket->head + action.offset;
  check(from <= socket->arrived, "a peek stays within what has arrived");
  const std::uint64_t until = read_until(*socket, from);
  if (until < socket->arrived) ++urgent_stops_;
  const std::uint64_t count = std::min<std::uint64_t>(max, until - from);
  if (count > 0) {
    // What such a queue holds is not what comes next.
    const std::uint64_t at = socket->lost ? from + 1 : from;
    const ByteView bytes = Pattern::at(GuestTcp::salt_in(socket->connection), at, count);
    flows_.on_peeked(
        action.flow,
        {action.sequence, flow::PeekStatus::kData, bytes, count == max || socket->urgent},
        {now, sink_});
  } else {
    const bool ended = socket->fin_arrived || socket->reset;
    if (!ended) socket->urgent = false;
    flows_.on_peeked(action.flow,
                     {action.sequence,
                      ended ? flow::PeekStatus::kEndOfStream : flow::PeekStatus::kWouldBlock,
                      {},
                      false},
                     {now, sink_});
  }
}

void Host::shutdown(const flow::ShutdownTcp& action, Instant now) {
  Socket* socket = find_held(action.flow);
  if (socket != nullptr && !socket->reset) shut(*socket, now);
}

void Host::shut(Socket& socket, Instant now) {
  check(!socket.shut, "a socket is shut once");
  check(socket.waiting() == 0 && socket.taken == plan(socket).guest_end.to_send,
        "our FIN stands behind the guest's last byte");
  check(guest_(socket.connection).fin_was_sent, "our FIN stands for the guest's");
  socket.shut = true;
  plan_peer(socket, now);
}

void Host::close(const flow::CloseTcp& action, Instant now) {
  Socket* socket = find(action.flow);
  if (socket == nullptr) return;
  (void)now;
  if (draining_) return close_at_end(*socket, action);
  Result& result = results_[socket->connection];
  if (action.reset) {
    const GuestState guest = guest_(socket->connection);
    check(guest.sent_reset || guest.gone || socket->reset || socket->lost || !socket->open,
          "a RST is passed on, never made up");
    check_guests_reset(*socket, guest);
    result.got_reset = true;
    result.lost = result.lost || socket->lost;
  } else {
    check(socket->shut && socket->waiting() == 0 && socket->head == socket->arrived &&
              socket->fin_arrived,
          "a socket is closed when both directions are through");
    // The kernel delivers what its buffer holds.
    result.received = socket->taken;
    result.got_end = true;
    result.closed_cleanly = true;
  }
  release(*socket);
}

void Host::release(Socket& socket) {
  socket.spill.reset();
  socket.used = false;
  note_pool();
}

}  // namespace sluice::sim
