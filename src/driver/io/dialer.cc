#include "driver/io/dialer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "wire/messages/connect_tunnel.h"

namespace sluice::driver {
namespace {

constexpr std::uint32_t kDialEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr host::TcpOptions kOptions{.urgent_inline = true, .guarded = true};

}  // namespace

Dialer::Dial* Dialer::find(flow::TcpId id) {
  const auto found = std::ranges::find(dials_, id, &Dial::id);
  return found == dials_.end() ? nullptr : &*found;
}

void Dialer::forget(flow::TcpId id) {
  std::erase_if(dials_, [&](const Dial& dial) { return dial.id == id; });
}

void Dialer::dial(const flow::ConnectTcp& action, flow::Turn turn) {
  const flow::Way* const way = flows_.way_of(action.flow);
  if (way == nullptr) return;  // The flow has ended.
  Dial& dial = dials_.emplace_back();
  dial.id = action.flow;
  dial.protocol = way->via.protocol;
  dial.endpoints = way->via.endpoints;
  dial.preface = way->preface;
  late_.add(action.flow, turn.now + kPatience);
  try_next(dial, turn);
}

bool Dialer::close(flow::TcpId id) {
  Dial* const dial = find(id);
  if (dial == nullptr) return false;
  dial->socket.reset();
  forget(id);
  return true;
}

bool Dialer::start(Dial& dial, const wire::Endpoint& target) {
  auto socket = host::TcpSocket::open(kernel_, target.address.family(), kOptions);
  if (!socket) return false;
  if (const host::Outbound::Way* const way = outbound_.way_to(target.address)) {
    if (!socket->leave_by(*way)) return false;
  }
  if (!socket->start_connect(target)) return false;
  dial.socket = std::move(*socket);
  return loop_.add(dial.socket.fd(), kDialEvents, EventTag::of(EventKind::kDial, dial.id).pack())
      .has_value();
}

void Dialer::try_next(Dial& dial, flow::Turn turn) {
  while (dial.next < dial.endpoints.size()) {
    if (!start(dial, dial.endpoints[dial.next++])) continue;
    if (dial.socket.is_established()) tell(dial, turn);
    return;
  }
  give_up(dial, turn);
}

void Dialer::on_event(const EventTag& tag, std::uint32_t events, flow::Turn turn) {
  const auto found =
      std::ranges::find_if(dials_, [&](const Dial& dial) { return tag.names(dial.id); });
  if (found == dials_.end()) return;
  Dial& dial = *found;
  if ((events & EPOLLERR) != 0 && !dial.socket.connect_result()) {
    // Once he was told, nobody else is.
    if (dial.told) {
      give_up(dial, turn);
    } else {
      try_next(dial, turn);
    }
  } else if (dial.told) {
    hear(dial, turn);
  } else if ((events & EPOLLOUT) != 0) {
    tell(dial, turn);
  }
}

// A fresh socket takes all of it at once.
void Dialer::tell(Dial& dial, flow::Turn turn) {
  dial.told = true;
  const iovec all{.iov_base = dial.preface.data(), .iov_len = dial.preface.size()};
  const auto sent = dial.socket.send({&all, 1});
  if (!sent || *sent != dial.preface.size()) {
    give_up(dial, turn);
  } else if (dial.protocol == policy::ViaProtocol::kProxy) {
    hand_on(dial, turn);
  }
}

void Dialer::hear(Dial& dial, flow::Turn turn) {
  using Kind = wire::ConnectAnswer::Kind;
  std::array<std::uint8_t, wire::kConnectAnswerMax> room;
  const iovec all{.iov_base = room.data(), .iov_len = room.size()};
  const auto heard = dial.socket.peek({&all, 1});
  if (heard && heard->status == sys::ReadStatus::kWouldBlock) return;
  if (!heard || heard->status != sys::ReadStatus::kData) {
    give_up(dial, turn);
    return;
  }
  const auto answer = wire::read_connect_answer(ByteView(room).first(heard->bytes));
  if (answer.kind == Kind::kNeedMore) return;
  if (answer.kind != Kind::kOpen || dial.socket.discard(answer.size) != answer.size) {
    give_up(dial, turn);
    return;
  }
  hand_on(dial, turn);
}

// What came behind the answer is told of anew.
void Dialer::hand_on(Dial& dial, flow::Turn turn) {
  const flow::TcpId id = dial.id;
  host::TcpSocket socket = std::move(dial.socket);
  forget(id);
  (void)loop_.remove(socket.fd());
  if (tcp_.adopt(id, std::move(socket))) {
    flows_.on_connected(id, TcpIo::kRoomAtFirst, turn);
  } else {
    flows_.on_connect_failed(id, flow::HostError::kNoDescriptors, turn);
  }
}

void Dialer::give_up(Dial& dial, flow::Turn turn) {
  const flow::TcpId id = dial.id;
  if (dial.socket.valid()) dial.socket.reset();
  forget(id);
  flows_.on_connect_failed(id, flow::HostError::kWayFailed, turn);
}

void Dialer::on_time(flow::Turn turn) {
  while (const auto id = late_.take_due(turn.now)) {
    if (Dial* const dial = find(*id)) give_up(*dial, turn);
  }
}

}  // namespace sluice::driver
