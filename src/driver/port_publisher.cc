#include "driver/port_publisher.h"

#include <algorithm>
#include <utility>

#include "sys/sys_error.h"

namespace sluice::driver {

std::expected<void, sys::SysError> PortPublisher::begin() {
  for (PublishedPorts::Udp& port : ports_.udp) {
    if (auto adopted = adopt(port); !adopted) return adopted;
  }
  ports_.udp.clear();
  return watch();
}

std::expected<void, sys::SysError> PortPublisher::adopt(PublishedPorts::Udp& port) {
  const flow::UdpId id = engine_.udp().publish(port.guest);
  datagrams_.push_back({id, std::move(port.map)});
  return udp_.adopt(id, std::move(port.socket));
}

std::expected<void, sys::SysError> PortPublisher::watch(std::size_t place) {
  const int fd = ports_.tcp[place].listener.fd();
  if (fd < 0) return {};  // It was withdrawn.
  const EventTag tag{EventKind::kListener, static_cast<std::uint32_t>(place)};
  return loop_.add(fd, EPOLLIN, tag.pack());
}

std::expected<void, sys::SysError> PortPublisher::watch() {
  for (std::size_t place = 0; place < ports_.tcp.size(); ++place) {
    if (auto watched = watch(place); !watched) return watched;
  }
  return {};
}

std::expected<void, sys::SysError> PortPublisher::add(PublishedPorts ports, flow::Turn turn) {
  const auto serve = [&]() -> std::expected<void, sys::SysError> {
    for (PublishedPorts::Udp& port : ports.udp) {
      if (auto adopted = adopt(port); !adopted) return adopted;
    }
    for (PublishedPorts::Tcp& port : ports.tcp) {
      // Events that were read already may be of the one that had this place: a listener that
      // nobody calls says so.
      auto free = std::ranges::find_if(
          ports_.tcp, [](const PublishedPorts::Tcp& one) { return !one.listener.valid(); });
      if (free == ports_.tcp.end()) free = ports_.tcp.insert(free, PublishedPorts::Tcp{});
      *free = std::move(port);
      if (resume_at_ != kNever) continue;  // All of them are watched then.
      const auto place = static_cast<std::size_t>(free - ports_.tcp.begin());
      if (auto watched = watch(place); !watched) return watched;
    }
    return {};
  };
  std::string map;
  if (!ports.tcp.empty()) map = ports.tcp.front().map;
  if (!ports.udp.empty()) map = ports.udp.front().map;
  auto served = serve();
  if (!served) remove(map, turn);
  return served;
}

void PortPublisher::remove(std::string_view map, flow::Turn turn) {
  for (PublishedPorts::Tcp& port : ports_.tcp) {
    if (port.map != map) continue;
    port.listener.close();  // No other descriptor stands for it, so it is watched no more.
    port.map.clear();
  }
  std::erase_if(datagrams_, [&](const Datagrams& port) {
    if (port.map != map) return false;
    engine_.udp().withdraw(port.id, turn);
    return true;
  });
}

void PortPublisher::on_time(Instant now) {
  if (now < resume_at_) return;
  resume_at_ = kNever;
  if (!watch()) pause(now);
}

void PortPublisher::pause(Instant now) {
  // One that is not watched stays so.
  for (const PublishedPorts::Tcp& port : ports_.tcp) {
    if (port.listener.valid()) (void)loop_.remove(port.listener.fd());
  }
  resume_at_ = now + host::kAcceptPause;
}

void PortPublisher::on_event(const EventTag& tag, flow::Turn turn) {
  if (tag.index >= ports_.tcp.size() || !ports_.tcp[tag.index].listener.valid()) return;
  PublishedPorts::Tcp& port = ports_.tcp[tag.index];
  std::uint32_t count = 0;
  while (count < port.share.most() && resume_at_ == kNever) {
    auto accepted = port.listener.accept();
    if (!accepted && sys::is_exhaustion(accepted.error().error)) {
      engine_.drops().count(flow::DropReason::kNoDescriptors);
      pause(turn.now);
    }
    if (!accepted || !*accepted) break;
    ++count;
    if (member_ != nullptr && hand_over(**accepted, port.guest, turn.now)) continue;
    auto& [socket, peer] = **accepted;
    if (!begin_flow(peer, port.guest, std::move(socket), turn)) break;
  }
  port.share.took(count);
}

bool PortPublisher::begin_flow(const wire::Endpoint& peer, const wire::Endpoint& guest,
                               host::TcpSocket socket, flow::Turn turn) {
  const auto id = engine_.tcp().on_inbound(peer, guest, TcpIo::kRoomAtFirst, turn);
  if (!id) {
    socket.reset();
  } else if (!tcp_.adopt(*id, std::move(socket))) [[unlikely]] {
    engine_.drops().count(flow::DropReason::kNoDescriptors);
    engine_.tcp().on_socket_lost(*id, turn);
    pause(turn.now);
    return false;
  }
  return true;
}

bool PortPublisher::hand_over(host::AcceptedConnection& client, const wire::Endpoint& guest,
                              Instant now) {
  const std::uint32_t owner = engine_.owner_of_inbound(client.peer, guest);
  if (owner == member_->share().worker) return false;
  ClientAccepted accepted{client.peer, guest, std::move(client.socket)};
  if (member_->hand_over(owner, accepted)) return true;
  // It has many of them waiting already.
  engine_.drops().count(flow::DropReason::kTooManyFlows);
  accepted.socket.reset();
  pause(now);
  return true;
}

}  // namespace sluice::driver
