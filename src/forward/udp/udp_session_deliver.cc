// Datagrams of clients on their way to targets.
#include <utility>

#include "forward/datagram/datagram_throttle.h"
#include "forward/udp/udp_forwarder.h"

namespace sluice::forward {
namespace {

// To whom an answer may come from. A group or everyone is no source.
std::optional<wire::IpAddress> answer_from(const host::IncomingDatagram& slot) {
  if (!slot.destination) return std::nullopt;
  if (slot.destination->is_multicast() || slot.destination->is_v4_broadcast()) return std::nullopt;
  return slot.destination;
}

}  // namespace

// Sorts a batch by session, in two passes, so that each session's datagrams go out together.
[[gnu::noinline]] void UdpForwarder::deliver(SlabHandle listener,
                                             std::span<host::IncomingDatagram> slots) {
  std::array<SlabHandle, kRows> order;
  std::size_t count = 0;
  ++batch_number_;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const std::uint32_t index = session_for(listener, slots[i]);
    if (index == UdpSession::kNone) continue;
    UdpSession& session = sessions_.at(index);
    const auto slot = static_cast<std::uint8_t>(i);
    next_slot_[i] = kChainEnd;
    if (session.batch == batch_number_) {
      next_slot_[session.last_slot] = slot;
    } else {
      session.batch = batch_number_;
      session.first_slot = slot;
      order[count++] = sessions_.handle_of(index);
    }
    session.last_slot = slot;
  }
  for (const SlabHandle handle : std::span(order).first(count)) {
    if (sessions_.find(handle) != nullptr) deliver_chain(handle.index, slots);
  }
}

std::uint32_t UdpForwarder::session_for(SlabHandle handle, const host::IncomingDatagram& slot) {
  UdpSessionKey key{.client = slot.source,
                    .local = answer_from(slot).value_or(wire::IpAddress{}),
                    .scope_id = 0,
                    .listener = handle.index};
  if (!slot.source.address.is_v4() && slot.source.address.is_link_local()) [[unlikely]] {
    key.scope_id = slot.interface_index;
  }
  const std::uint32_t index = find_session(key);
  if (index == UdpSessionTable::kNone) [[unlikely]]
    return open_session(handle, key, slot);
  UdpSession& session = sessions_.at(index);
  session.last_traffic = context_.now;
  if (!session.talks) [[unlikely]]
    heard_again(index, session);
  return index;
}

void UdpForwarder::deliver_chain(std::uint32_t index, std::span<host::IncomingDatagram> slots) {
  UdpSession& session = sessions_.at(index);
  if (session.phase == UdpPhase::kFailed) [[unlikely]] {
    std::uint64_t dropped = 0;
    for (std::uint8_t i = session.first_slot; i != kChainEnd; i = next_slot_[i]) {
      dropped += host::datagrams_in(slots[i].length, slots[i].segment_size);
    }
    count_one(session.rule->counters->datagrams_dropped, dropped);
  } else if (session.stream != nullptr) {
    push_to_stream(index, slots);
  } else {
    send_to_target(session, slots);
  }
}

[[gnu::noinline]] void UdpForwarder::send_to_target(UdpSession& session,
                                                    std::span<host::IncomingDatagram> slots) {
  const relay::Throttle throttle = session.ticket.to_target();
  std::uint64_t dropped = 0;
  batch_.direct({});  // The socket is connected.
  for (std::uint8_t i = session.first_slot; i != kChainEnd; i = next_slot_[i]) {
    const host::IncomingDatagram& slot = slots[i];
    const Passed passed = pass_throttle(throttle, slot.length, slot.segment_size, context_.now);
    dropped += passed.dropped;
    if (passed.dropped > 0 && passed.bytes == 0) continue;
    // A chain is shorter than a batch, so there is room.
    (void)batch_.add(host::DatagramRows::bytes_of(slot).first(passed.bytes), slot.segment_size);
  }
  const host::BatchResult result = batch_.flush(session.socket);
  session.bytes.to_target += result.bytes;
  count_one(session.rule->counters->datagrams_dropped, dropped + result.dropped);
}

void UdpForwarder::push_to_stream(std::uint32_t index, std::span<host::IncomingDatagram> slots) {
  UdpSession& session = sessions_.at(index);
  UdpStream& stream = *session.stream;
  const relay::Throttle throttle = session.ticket.to_target();
  std::uint64_t dropped = 0;
  const auto flush = [&] {
    if (session.phase != UdpPhase::kOpen || stream.error() != 0) return;
    if (const auto flushed = stream.flush()) {
      session.bytes.to_target += *flushed;
    } else {
      stream.broke(flushed.error().error);
    }
  };
  for (std::uint8_t i = session.first_slot; i != kChainEnd; i = next_slot_[i]) {
    const host::IncomingDatagram& slot = slots[i];
    const Passed passed = pass_throttle(throttle, slot.length, slot.segment_size, context_.now);
    dropped += passed.dropped;
    if (passed.dropped > 0 && passed.bytes == 0) continue;
    ByteView rest = host::DatagramRows::bytes_of(slot).first(passed.bytes);
    do {
      const std::size_t size = slot.segment_size == 0
                                   ? rest.size()
                                   : std::min<std::size_t>(slot.segment_size, rest.size());
      const ByteView datagram = rest.first(size);
      rest = rest.subspan(size);
      bool taken = stream.push(datagram);
      if (!taken) {
        flush();
        taken = stream.push(datagram);
      }
      dropped += taken ? 0 : 1;
    } while (!rest.empty());
  }
  flush();
  count_one(session.rule->counters->datagrams_dropped, dropped);
  // What it said before is read first, in a turn in which the rows are free for it.
  if (stream.error() != 0) mark_pending(sessions_.handle_of(index), session);
}

// Does not return a session that exists already. `slot` is its first datagram.
[[gnu::noinline]] std::uint32_t UdpForwarder::open_session(SlabHandle handle,
                                                           const UdpSessionKey& key,
                                                           const host::IncomingDatagram& slot) {
  UdpListener& listener = *listeners_.find(handle);
  LiveRule& rule = *listener.rule;
  const std::size_t datagrams = host::datagrams_in(slot.length, slot.segment_size);
  auto ticket = rule.admission.admit(key.client.address, context_.now);
  if (!ticket) return refuse(listener, key, ticket.error(), datagrams);
  if (newcomers_.available(context_.now) == 0 ||
      (sessions_.size() >= bounds_.sessions && !make_room())) {
    return refuse(listener, key, SessionResult::kLimited, datagrams);
  }
  newcomers_.take(1, context_.now);
  effort_ += rule.plan.targets_udp() ? kDatagramEffort : kStreamEffort;
  count_one(rule.counters->accepted);
  rule.counters->active.fetch_add(1, std::memory_order_relaxed);
  ++listener.sessions;

  const SlabHandle made = sessions_.emplace();
  UdpSession& session = *sessions_.find(made);
  session.number = ++context_.last_session;
  session.key = key;
  session.rule = listener.rule;
  session.ticket = std::move(*ticket);
  session.attempt.client = key.client.address;
  session.attempt.port_offset = listener.port_offset;
  if (key.local != wire::IpAddress{}) session.local = key.local;
  session.listen_port = listener.port;
  session.opened_at = context_.now;
  session.last_traffic = context_.now;
  session.timer.set_owner(EventTag::of(EventKind::kUdpSession, made).pack());
  if (!rule.plan.targets_udp()) session.stream = std::make_unique<UdpStream>(rule.plan.framing);
  table_.insert(key, made.index);
  session.talks = datagrams > 1;
  queue_of(session).append(made.index);
  const int error = connect(made, session, rule.targets.first(session.attempt, context_.now));
  if (error != 0) failed(session, error);
  return made.index;
}

}  // namespace sluice::forward
