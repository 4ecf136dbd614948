#include "flow/udp/udp_sockets.h"

namespace sluice::flow {

std::optional<UdpId> UdpSockets::shared(const wire::Endpoint& guest) const {
  const std::uint32_t found = index_in(shared_, guest);
  if (found == FlowTable::kNone) return std::nullopt;
  return UdpId{sockets_.handle_of(found)};
}

UdpId UdpSockets::add_shared(const wire::Endpoint& guest) {
  const UdpId id{sockets_.emplace()};
  sockets_.at(id.index).guest = guest;
  shared_.insert(key_of(guest), id.index);
  return id;
}

UdpId UdpSockets::add_own(const wire::Endpoint& guest, std::uint32_t flow) {
  const UdpId id{sockets_.emplace()};
  Socket& socket = sockets_.at(id.index);
  socket.guest = guest;
  socket.flows = 1;
  socket.only = flow;
  return id;
}

UdpId UdpSockets::add_in_guest(const wire::Endpoint& server, std::uint32_t flow) {
  const UdpId id = add_own(server, flow);
  sockets_.at(id.index).in_guest = true;
  return id;
}

UdpId UdpSockets::publish(const wire::Endpoint& guest) {
  const UdpId id{sockets_.emplace()};
  sockets_.at(id.index).guest = guest;
  sockets_.at(id.index).published = true;
  if (!is_published(guest)) published_.insert(key_of(guest), id.index);
  return id;
}

bool UdpSockets::is_published(const wire::Endpoint& guest) const {
  return index_in(published_, guest) != FlowTable::kNone;
}

bool UdpSockets::withdraw(UdpId id) {
  Socket* const socket = sockets_.find(id);
  if (socket == nullptr || socket->withdrawn) return false;
  socket->withdrawn = true;
  published_.erase(key_of(socket->guest), id.index);
  // Another may lead to the same port of the guest's.
  const wire::Endpoint guest = socket->guest;
  sockets_.for_each([&](SlabHandle handle, const Socket& other) {
    const bool leads_there = other.published && !other.withdrawn && other.guest == guest;
    if (leads_there && !is_published(guest)) published_.insert(key_of(guest), handle.index);
  });
  return true;
}

bool UdpSockets::drop_unused(UdpId id) {
  const Socket& socket = sockets_.at(id.index);
  if (socket.flows != 0 || (socket.published && !socket.withdrawn)) return false;
  const bool shared = !socket.published && socket.only == FlowTable::kNone;
  if (shared) shared_.erase(key_of(socket.guest), id.index);
  sockets_.erase(id);
  return true;
}

}  // namespace sluice::flow
