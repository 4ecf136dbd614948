#include "driver/loopback/loopback_path.h"

#include <algorithm>
#include <utility>

#include "flow/core/drop_reason.h"
#include "sys/sys_error.h"

namespace sluice::driver {
namespace {

constexpr host::TcpOptions kOptions{.urgent_inline = true, .guarded = true};
constexpr Duration kOrderAgain = std::chrono::milliseconds(5);
// What answers about sockets are told apart by: those of the stock come first.
// Then sockets of UDP, both in the order of families, and listeners.
constexpr std::uint64_t kFirstOfUdp = 2;
constexpr std::uint64_t kFirstListener = 4;

[[nodiscard]] wire::IpFamily family_of(std::uint64_t tag) {
  return tag % 2 == 0 ? wire::IpFamily::kV4 : wire::IpFamily::kV6;
}

}  // namespace

LoopbackPath::LoopbackPath(IoContext context, flow::Engine& engine, HostSockets sockets,
                           HandOvers& hand_overs)
    : kernel_(context.kernel),
      loop_(context.loop),
      engine_(engine),
      tcp_(sockets.tcp),
      hand_overs_(hand_overs),
      ports_(context.kernel, context.loop),
      datagrams_(engine, ports_),
      datagram_calls_(context.kernel, engine, sockets.udp) {
  hand_overs.set_taker(*this);
}

void LoopbackPath::open(std::span<const policy::PortMap> ports, Instant now) {
  ports_.add(ports);
  order(now);
}

void LoopbackPath::follow(std::span<const policy::PortMap> ports, Instant now) {
  ports_.follow(ports);
  order(now);
}

LoopbackPath::Call* LoopbackPath::find(flow::TcpId id) {
  if (id.index >= calls_.size()) return nullptr;
  Call& call = calls_[id.index];
  return call.id == id ? &call : nullptr;
}

LoopbackPath::Call& LoopbackPath::place(flow::TcpId id) {
  if (calls_.size() <= id.index) calls_.resize(id.index + std::size_t{1});
  Call& call = calls_[id.index];
  call = {.id = id, .server = {}, .socket = {}};
  return call;
}

void LoopbackPath::order(Instant now) {
  order_at_ = kNever;
  agent::GuestAgent& agent = hand_overs_.agent();
  if (agent.fd() < 0) return;
  bool told = ports_.order(agent, kFirstListener);
  if (told) told = datagram_calls_.order(agent, kFirstOfUdp);
  for (const auto family : {wire::IpFamily::kV4, wire::IpFamily::kV6}) {
    const std::size_t waits = waiting(family).size();
    if (told && waits > 0) told = sockets_.order(agent, family, waits);
  }
  if (!told) order_at_ = now + kOrderAgain;
}

void LoopbackPath::call(const flow::CallGuest& action, flow::Turn turn) {
  Call& call = place(action.flow);
  call.server = action.server;
  if (hand_overs_.agent().fd() < 0 || !hand_overs_.has_descriptors()) {
    refuse(call, turn);
    return;
  }
  const wire::IpFamily family = action.server.address.family();
  host::TcpSocket socket = sockets_.take(family);
  const bool waits = !socket.valid();
  if (waits && !has_room_to_wait(family)) {
    refuse(call, turn);
    return;
  }
  if (waits) {
    waiting(family).push_back(action.flow);
  } else {
    connect(call, std::move(socket), turn);
  }
  // Last: to be woken, the agent takes a processor from the server that is called.
  if (!sockets_.order(hand_overs_.agent(), family, waiting(family).size())) {
    order_at_ = turn.now + kOrderAgain;
  }
}

void LoopbackPath::call(const flow::OpenGuestUdp& action, flow::Turn turn) {
  if (hand_overs_.agent().fd() < 0 || !hand_overs_.has_descriptors()) {
    engine_.udp().on_guest_refused(action.socket, turn);
    return;
  }
  datagram_calls_.call(action, turn);
  order(turn.now);
}

// Whoever can stop the agent is in the guest.
bool LoopbackPath::has_room_to_wait(wire::IpFamily family) {
  std::deque<flow::TcpId>& queue = waiting(family);
  if (queue.size() < kWaitingMax) return true;
  std::erase_if(queue, [this](flow::TcpId id) { return find(id) == nullptr; });
  return queue.size() < kWaitingMax;
}

void LoopbackPath::connect(Call& call, host::TcpSocket socket, flow::Turn turn) {
  if (!socket.start_connect(call.server)) {
    refuse(call, turn);
    return;
  }
  call.socket = std::move(socket);
  if (call.socket.is_established()) {
    engine_.tcp().on_guest_answered(call.id, turn);
    return;
  }
  const EventTag tag = EventTag::of(EventKind::kGuestCall, call.id);
  if (!loop_.add(call.socket.fd(), EPOLLOUT, tag.pack())) refuse(call, turn);
}

void LoopbackPath::refuse(Call& call, flow::Turn turn) {
  const flow::TcpId id = call.id;
  call.socket = {};
  engine_.tcp().on_guest_refused(id, turn);
}

void LoopbackPath::join(const flow::JoinTcp& action, flow::Turn turn) {
  Call* const call = find(action.flow);
  const int host_error = tcp_.failure(action.flow);
  Carrier::Ends ends{.guest = call == nullptr ? host::TcpSocket() : std::move(call->socket),
                     .host = tcp_.take(action.flow),
                     .guest_next = {},
                     .by_loopback = true};
  const bool both = ends.guest.valid() && ends.host.valid();
  if (!both || !hand_overs_.carrier().start(action.flow, ends, turn.now)) {
    ends.guest.reset();
    ends.host.reset();
    engine_.tcp().on_socket_lost(action.flow, turn);
    return;
  }
  if (host_error != 0) hand_overs_.carrier().note_host_failed(action.flow, host_error);
}

void LoopbackPath::close(const flow::CloseTcp& action) {
  Call* const call = find(action.flow);
  if (call == nullptr) return;
  call->socket.reset();
  call->id = {};
}

void LoopbackPath::on_event(const EventTag& tag, flow::Turn turn) {
  if (tag.kind == EventKind::kGuestListener) {
    accept(tag, turn);
    return;
  }
  if (tag.index >= calls_.size()) return;
  Call& call = calls_[tag.index];
  if (!tag.names(call.id) || !call.socket.valid()) return;
  if (!call.socket.connect_result()) {
    refuse(call, turn);
    return;
  }
  // From here on its events are the carrier's.
  (void)loop_.remove(call.socket.fd());
  engine_.tcp().on_guest_answered(call.id, turn);
}

void LoopbackPath::accept(const EventTag& tag, flow::Turn turn) {
  LoopbackPorts::Place* const found = ports_.find(tag);
  if (found == nullptr) return;
  LoopbackPorts::Place& place = *found;
  std::uint32_t count = 0;
  while (count < place.share.most()) {
    if (!hand_overs_.has_descriptors()) {
      engine_.drops().count(flow::DropReason::kNoDescriptors);
      ports_.pause(turn.now);
      break;
    }
    auto accepted = place.listener.accept();
    if (!accepted && sys::is_exhaustion(accepted.error().error)) {
      engine_.drops().count(flow::DropReason::kNoDescriptors);
      ports_.pause(turn.now);
    } else if (!accepted) {
      ports_.lose(tag, accepted.error().error, turn.now);
      return;
    }
    if (!accepted || !*accepted) break;
    ++count;
    auto& [socket, peer] = **accepted;
    const auto id = engine_.tcp().on_loopback_client(peer, place.target, turn);
    if (id) {
      this->place(*id).socket = std::move(socket);
    } else {
      socket.reset();
    }
  }
  place.share.took(count);
}

void LoopbackPath::on_guest_sockets(agent::AgentSockets answer, flow::Turn turn) {
  if (answer.tag >= kFirstListener) {
    const auto place = static_cast<std::uint32_t>(answer.tag - kFirstListener);
    ports_.on_socket(place, std::move(answer), turn.now);
    order(turn.now);
    return;
  }
  const wire::IpFamily family = family_of(answer.tag);
  if (answer.tag >= kFirstOfUdp) {
    datagram_calls_.on_socket(family, std::move(answer), turn);
    order(turn.now);
    return;
  }
  if (sockets_.on_answer(family)) on_stock(family, std::move(answer.sockets), turn);
}

void LoopbackPath::on_stock(wire::IpFamily family, std::vector<UniqueFd> sockets, flow::Turn turn) {
  for (UniqueFd& one : sockets) {
    sockets_.add(family, host::TcpSocket::adopt(sys::KernelFd(kernel_, one.release()), kOptions));
  }
  serve_waiting(family, turn);
  // There is no such family, or no room: they have waited for those that did not come.
  const std::size_t came = std::min(sockets.size(), GuestSockets::kBatch);
  refuse_waiting(family, GuestSockets::kBatch - came, turn);
  order(turn.now);  // More may wait than could be asked for at once.
}

void LoopbackPath::serve_waiting(wire::IpFamily family, flow::Turn turn) {
  std::deque<flow::TcpId>& queue = waiting(family);
  while (!queue.empty()) {
    Call* const call = find(queue.front());
    if (call != nullptr) {
      host::TcpSocket socket = sockets_.take(family);
      if (!socket.valid()) return;
      queue.pop_front();
      connect(*call, std::move(socket), turn);
    } else {
      queue.pop_front();
    }
  }
}

void LoopbackPath::refuse_waiting(wire::IpFamily family, std::size_t count, flow::Turn turn) {
  std::deque<flow::TcpId>& queue = waiting(family);
  for (; count > 0 && !queue.empty(); --count) {
    Call* const call = find(queue.front());
    queue.pop_front();
    if (call != nullptr) refuse(*call, turn);
  }
}

void LoopbackPath::on_agent_gone(flow::Turn turn) {
  sockets_.forget_orders();
  datagram_calls_.on_agent_gone(turn);
  order_at_ = kNever;
  for (const auto family : {wire::IpFamily::kV4, wire::IpFamily::kV6}) {
    refuse_waiting(family, waiting(family).size(), turn);
  }
}

void LoopbackPath::on_time(Instant now) {
  const bool again = ports_.ask_again_at() <= now;
  if (again) ports_.ask_again();
  if (again || order_at_ <= now) order(now);
  if (ports_.resume_at() <= now) ports_.resume(now);
}

}  // namespace sluice::driver
