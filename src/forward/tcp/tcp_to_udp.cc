#include "forward/tcp/tcp_to_udp.h"

#include <algorithm>
#include <utility>

#include "forward/datagram/datagram_throttle.h"
#include "forward/target/target_socket.h"

namespace sluice::forward {
namespace {

constexpr std::uint32_t kStreamEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr int kReadsPerTurn = 16;
constexpr int kBatchesPerTurn = 4;
constexpr int kErrorsPerTurn = 16;

}  // namespace

TcpToUdp::TcpToUdp(WorkerContext& context)
    : context_(context), rows_(kRows), batch_(context.scratch) {
  // Answers are written from here; growing would move headers that parts point to.
  headers_.reserve(kPartsMax / 2);
  parts_.reserve(kPartsMax);
}

TcpToUdp::~TcpToUdp() { end_all(); }

void TcpToUdp::start(AcceptedStream stream, ByteView head) {
  const SlabHandle handle = bridges_.emplace();
  Bridge& bridge = *bridges_.find(handle);
  bridge.client = std::move(stream);
  bridge.attempt.client = bridge.client.client.address;
  bridge.attempt.port_offset = bridge.client.port_offset;
  bridge.last_traffic = context_.now;
  bridge.timer.set_owner(EventTag::of(EventKind::kBridgeStream, handle).pack());
  LiveRule& rule = *bridge.client.rule;
  int error = connect(handle, bridge, rule.targets.first(bridge.attempt, context_.now));
  if (error == 0) {
    const auto watched = context_.loop.add(bridge.client.socket.fd(), kStreamEvents,
                                           EventTag::of(EventKind::kBridgeStream, handle).pack());
    if (!watched) error = watched.error().error;
  }
  if (error != 0) {
    count_one(rule.counters->connect_failed);
    end(handle, SessionResult::kConnectFailed, error);
    return;
  }
  context_.timers.arm(bridge.timer, context_.now + rule.plan.timeouts.udp_session);
  log(bridge, SessionResult::kOpened, 0);
  if (!head.empty()) deliver(bridge, head);
}

std::expected<void, sys::SysError> TcpToUdp::connect_once(SlabHandle handle, Bridge& bridge,
                                                          const Destination& destination) {
  if (!destination.inet) {
    return std::unexpected(sys::SysError{sys::SysOp::kConnect, EAFNOSUPPORT});
  }
  auto socket = open_datagram_target(context_.kernel, bridge.client.rule->plan.socket, destination,
                                     bridge.client.client);
  if (!socket) return std::unexpected(socket.error());
  bridge.socket = std::move(*socket);
  // Not EPOLLOUT: each datagram that leaves would report it.
  return context_.loop.add(bridge.socket.fd(), EPOLLIN | EPOLLET,
                           EventTag::of(EventKind::kBridgeDatagram, handle).pack());
}

// Zero, or errno: no target is left.
int TcpToUdp::connect(SlabHandle handle, Bridge& bridge, std::optional<Destination> destination) {
  const int error =
      connect_to_any(bridge.client.rule->targets, bridge.attempt, destination, context_.now,
                     [&](const Destination& next) { return connect_once(handle, bridge, next); });
  bridge.target_in_use = error == 0;
  return error;
}

void TcpToUdp::on_event(EventTag tag, std::uint32_t events) {
  const SlabHandle handle = tag.handle_in(bridges_);
  if (tag.kind == EventKind::kBridgeStream) {
    on_stream_event(handle, events);
    return;
  }
  // Answers that came before an error are still the client's.
  if ((events & EPOLLIN) != 0) read_answers(handle);
  if ((events & EPOLLERR) != 0) read_errors(handle);
}

void TcpToUdp::on_stream_event(SlabHandle handle, std::uint32_t events) {
  Bridge* const bridge = bridges_.find(handle);
  if (bridge == nullptr) return;
  if ((events & EPOLLERR) != 0) {
    if (const auto healthy = bridge->client.socket.connect_result(); !healthy) {
      client_reset(handle, healthy.error().error);
      return;
    }
  }
  if ((events & EPOLLOUT) != 0 && !bridge->to_client.empty()) {
    if (!flush_queue(handle)) return;
    // The UDP socket was left alone meanwhile, and its event has been.
    if (bridge->to_client.empty()) read_answers(handle);
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0) read_stream(handle);
}

// What it sent before the reset is still the target's. The socket takes in no more, so there is an
// end to it.
[[gnu::cold]] void TcpToUdp::client_reset(SlabHandle handle, int error) {
  Bridge* const bridge = bridges_.find(handle);
  if (bridge == nullptr) return;
  if (bridge->reset_by == 0) bridge->reset_by = error;
  read_stream(handle);
}

[[gnu::noinline]] void TcpToUdp::read_stream(SlabHandle handle) {
  Bridge* const bridge = bridges_.find(handle);
  if (bridge == nullptr) return;
  if (bridge->client_ended) {
    if (bridge->reset_by != 0) end(handle, SessionResult::kClientReset, bridge->reset_by);
    return;
  }
  const bool framed = bridge->client.rule->plan.framing == Framing::kLength16;
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const MutableBytes room = framed ? rows_.room() : rows_.room().first(kDatagramMax);
    const iovec part{.iov_base = room.data(), .iov_len = room.size()};
    const auto got = bridge->client.socket.read({&part, 1});
    const bool ended = !got || got->status != sys::ReadStatus::kData;
    if (!got || (ended && bridge->reset_by != 0)) {
      end(handle, SessionResult::kClientReset, got ? bridge->reset_by : got.error().error);
      return;
    }
    switch (got->status) {
      case sys::ReadStatus::kWouldBlock: return;
      case sys::ReadStatus::kEndOfStream:
        bridge->client_ended = true;
        // A stream that ends inside a frame was cut: what it meant is not known.
        if (bridge->frames.inside_frame()) end(handle, SessionResult::kClientReset, EPROTO);
        return;
      case sys::ReadStatus::kData: break;
    }
    bridge->last_traffic = context_.now;
    deliver(*bridge, room.first(got->bytes));
  }
  mark_pending(handle, *bridge);
}

void TcpToUdp::deliver(Bridge& bridge, ByteView bytes) {
  if (bridge.client.rule->plan.framing == Framing::kNone) {
    while (!bytes.empty()) {
      const std::size_t size = std::min(bytes.size(), kDatagramMax);
      deliver_one(bridge, bytes.first(size));
      bytes = bytes.subspan(size);
    }
  } else {
    bridge.frames.feed(bytes);
    ByteView frame;
    while (bridge.frames.next(frame)) deliver_one(bridge, frame);
  }
  flush_batch(bridge);
  bridge.frames.settle();
}

void TcpToUdp::deliver_one(Bridge& bridge, ByteView datagram) {
  const Passed passed =
      pass_throttle(bridge.client.ticket.to_target(), datagram.size(), 0, context_.now);
  if (passed.dropped > 0) {
    count_one(bridge.client.rule->counters->datagrams_dropped);
    return;
  }
  if (batch_.add(datagram, 0)) return;
  flush_batch(bridge);
  (void)batch_.add(datagram, 0);
}

void TcpToUdp::flush_batch(Bridge& bridge) {
  if (batch_.empty()) return;
  const host::BatchResult result = batch_.flush(bridge.socket);
  bridge.bytes.to_target += result.bytes;
  count_one(bridge.client.rule->counters->datagrams_dropped, result.dropped);
}

[[gnu::noinline]] void TcpToUdp::read_answers(SlabHandle handle) {
  Bridge* const bridge = bridges_.find(handle);
  if (bridge == nullptr) return;
  for (int batch = 0; batch < kBatchesPerTurn; ++batch) {
    // EPOLLOUT of the stream goes on; after a reset nobody wants them.
    if (!bridge->to_client.empty() || bridge->reset_by != 0) return;
    const auto slots = rows_.slots();
    const auto count = bridge->socket.receive(context_.scratch, slots);
    // An error is in the error queue, too.
    if (!count) continue;
    if (*count == 0) return;
    bridge->last_traffic = context_.now;
    bridge->answered = true;
    if (const auto written = write_answers(*bridge, slots.first(*count)); !written) {
      client_reset(handle, written.error().error);
      return;
    }
    if (*count < slots.size()) return;
  }
  mark_pending(handle, *bridge);
}

// Adds a row's datagrams to what is about to be written.
void TcpToUdp::gather(Bridge& bridge, const host::IncomingDatagram& slot) {
  const Passed passed =
      pass_throttle(bridge.client.ticket.to_client(), slot.length, slot.segment_size, context_.now);
  count_one(bridge.client.rule->counters->datagrams_dropped, passed.dropped);
  if (passed.dropped > 0 && passed.bytes == 0) return;
  ByteView rest = host::DatagramRows::bytes_of(slot).first(passed.bytes);
  const bool framed = bridge.client.rule->plan.framing == Framing::kLength16;
  do {
    const std::size_t size = framed && slot.segment_size > 0
                                 ? std::min<std::size_t>(slot.segment_size, rest.size())
                                 : rest.size();
    if (framed) {
      headers_.push_back(frame_header(size));
      parts_.push_back({.iov_base = headers_.back().data(), .iov_len = kFrameHeader});
    }
    if (size > 0) {
      parts_.push_back({.iov_base = const_cast<std::uint8_t*>(rest.data()), .iov_len = size});
    }
    rest = rest.subspan(size);
  } while (!rest.empty());
}

std::expected<void, sys::SysError> TcpToUdp::write_answers(
    Bridge& bridge, std::span<const host::IncomingDatagram> slots) {
  parts_.clear();
  headers_.clear();
  for (const host::IncomingDatagram& slot : slots) gather(bridge, slot);
  if (parts_.empty()) return {};
  const auto sent = bridge.client.socket.send(parts_);
  if (!sent) return std::unexpected(sent.error());
  bridge.bytes.to_client += *sent;
  std::size_t skip = *sent;
  for (const iovec& part : parts_) {
    const std::size_t gone = std::min(skip, part.iov_len);
    skip -= gone;
    bridge.to_client.append(
        ByteView(static_cast<const std::uint8_t*>(part.iov_base), part.iov_len).subspan(gone));
  }
  return {};
}

bool TcpToUdp::flush_queue(SlabHandle handle) {
  Bridge& bridge = *bridges_.find(handle);
  const auto sent = bridge.to_client.flush(bridge.client.socket);
  if (!sent) {
    client_reset(handle, sent.error().error);
    return false;
  }
  bridge.bytes.to_client += *sent;
  if (*sent > 0) bridge.last_traffic = context_.now;
  return true;
}

[[gnu::cold]] void TcpToUdp::read_errors(SlabHandle handle) {
  std::array<std::uint8_t, 8> quote{};
  for (int i = 0; i < kErrorsPerTurn; ++i) {
    Bridge* const bridge = bridges_.find(handle);
    if (bridge == nullptr) return;
    const auto report = bridge->socket.read_errors(quote);
    if (!report || !*report) return;
    if (!host::is_refusal(**report)) continue;
    TargetSet& targets = bridge->client.rule->targets;
    if (!bridge->answered &&
        connect(handle, *bridge, targets.next(bridge->attempt, context_.now)) == 0) {
      return;
    }
    end(handle, SessionResult::kTargetReset, (*report)->error);
    return;
  }
}

void TcpToUdp::on_timer(EventTag tag) {
  const SlabHandle handle = tag.handle_in(bridges_);
  Bridge* const bridge = bridges_.find(handle);
  if (bridge == nullptr) return;
  const Instant due = bridge->last_traffic + bridge->client.rule->plan.timeouts.udp_session;
  if (due > context_.now) {
    context_.timers.arm(bridge->timer, due);
    return;
  }
  end(handle, bridge->client_ended ? SessionResult::kClientClosed : SessionResult::kIdle, 0);
}

void TcpToUdp::mark_pending(SlabHandle handle, Bridge& bridge) {
  if (std::exchange(bridge.pending, true)) return;
  pending_.push_back(handle);
}

bool TcpToUdp::run_pending() {
  // Those that are marked again while they run wait for the next turn.
  const std::vector<SlabHandle> pending = std::exchange(pending_, {});
  for (const SlabHandle handle : pending) {
    Bridge* const bridge = bridges_.find(handle);
    if (bridge == nullptr) continue;
    bridge->pending = false;
    read_answers(handle);
    read_stream(handle);
  }
  return !pending_.empty();
}

// Where the client must know that something was lost, its stream ends with a RST.
void TcpToUdp::end(SlabHandle handle, SessionResult result, int error) {
  Bridge* const bridge = bridges_.find(handle);
  if (bridge == nullptr) return;
  LiveRule& rule = *bridge->client.rule;
  bridge->published.publish(bridge->bytes, *rule.counters);
  log(*bridge, result, error);
  if (bridge->target_in_use) rule.targets.ended(bridge->attempt.target);
  rule.counters->active.fetch_sub(1, std::memory_order_relaxed);
  const bool cut = error != 0 || result == SessionResult::kKilled || !bridge->to_client.empty();
  if (cut) bridge->client.socket.reset();
  bridges_.erase(handle);
}

void TcpToUdp::end_all() {
  bridges_.for_each(
      [this](SlabHandle handle, Bridge&) { end(handle, SessionResult::kStopped, 0); });
}

void TcpToUdp::publish_counters() {
  bridges_.for_each([](SlabHandle, Bridge& bridge) {
    bridge.published.publish(bridge.bytes, *bridge.client.rule->counters);
  });
}

std::uint32_t TcpToUdp::list(SessionRange range, std::vector<SessionRecord>& out) {
  return list_sessions(bridges_, range, out, [this](const Bridge& bridge) {
    return record_of(bridge.client.rule, facts_of(bridge));
  });
}

bool TcpToUdp::kill(std::uint64_t number) {
  const SlabHandle handle = session_numbered(
      bridges_, [&](const Bridge& bridge) { return bridge.client.number == number; });
  if (!handle.valid()) return false;
  end(handle, SessionResult::kKilled, 0);
  return true;
}

SessionFacts TcpToUdp::facts_of(const Bridge& bridge) const {
  return {.number = bridge.client.number,
          .result = SessionResult::kOpened,
          .error = 0,
          .client = bridge.client.client,
          .listen_port = bridge.client.listen_port,
          .attempt = &bridge.attempt,
          .udp = false,
          .bytes = bridge.bytes,
          .duration = context_.now - bridge.client.accepted_at};
}

void TcpToUdp::log(const Bridge& bridge, SessionResult result, int error) {
  if (!is_told(context_)) return;
  SessionFacts facts = facts_of(bridge);
  facts.result = result;
  facts.error = error;
  tell_session(context_, bridge.client.rule, facts);
}

}  // namespace sluice::forward
