#include "driver/loopback/loopback_ports.h"

#include <cerrno>
#include <utility>
#include <vector>

#include "sys/sys_error.h"
#include "telemetry/log.h"

namespace sluice::driver {
namespace {

// Each port of a map in each family, as `visit` is called with its place.
template <typename Visit>
void for_each_place(const policy::PortMap& map, const Visit& visit) {
  for (std::uint16_t i = 0; i < map.count; ++i) {
    const wire::Port guest{static_cast<std::uint16_t>(map.guest_first.value + i)};
    const wire::Port host{static_cast<std::uint16_t>(map.host_first.value + i)};
    for (const auto family : {wire::IpFamily::kV4, wire::IpFamily::kV6}) {
      if (map.address && map.address->family() != family) continue;
      const wire::IpAddress address = wire::IpAddress::loopback(family);
      visit(LoopbackPorts::Place{.guest = {address, guest},
                                 .target = {address, host},
                                 .datagrams = map.protocol == policy::Protocol::kUdp});
    }
  }
}

}  // namespace

// One that is there already stays as it is.
// The one at that place of the guest's, or `wanted` from now on.
LoopbackPorts::Place& LoopbackPorts::place_of(const Place& wanted) {
  const auto [at, fresh] = numbers_.try_emplace({wanted.datagrams, wanted.guest}, next_);
  Place& place = places_[at->second];
  if (!fresh) return place;
  place.guest = wanted.guest;
  place.target = wanted.target;
  place.datagrams = wanted.datagrams;
  place.follows = wanted.follows;
  to_ask_.push_back(next_++);
  return place;
}

void LoopbackPorts::add(std::span<const policy::PortMap> maps) {
  for (const policy::PortMap& map : maps) {
    for_each_place(map, [this](const Place& place) { (void)place_of(place); });
  }
}

void LoopbackPorts::follow(std::span<const policy::PortMap> maps) {
  for (auto& [id, place] : places_) place.wanted = !place.follows;
  for (const policy::PortMap& map : maps) {
    for_each_place(map, [this](Place place) {
      place.follows = true;
      place_of(place).wanted = true;
    });
  }
  std::vector<std::uint32_t> gone;
  for (const auto& [id, place] : places_) {
    if (!place.wanted && place.standing != Standing::kAsked) gone.push_back(id);
  }
  for (const std::uint32_t id : gone) drop(id);
  std::erase_if(to_ask_, [this](std::uint32_t id) { return !places_.contains(id); });
}

void LoopbackPorts::drop(std::uint32_t id) {
  const auto found = places_.find(id);
  const Place& place = found->second;
  if (place.standing == Standing::kThere) {
    // One that is not watched stays so.
    (void)loop_.remove(place.datagrams ? place.socket.fd() : place.listener.fd());
  }
  numbers_.erase({place.datagrams, place.guest});
  places_.erase(found);
}

bool LoopbackPorts::has(policy::Protocol protocol, wire::Port port) const {
  for (const auto family : {wire::IpFamily::kV4, wire::IpFamily::kV6}) {
    if (numbers_.contains(
            {protocol == policy::Protocol::kUdp, {wire::IpAddress::loopback(family), port}})) {
      return true;
    }
  }
  return false;
}

bool LoopbackPorts::order(agent::GuestAgent& agent, std::uint64_t first_tag) {
  while (!to_ask_.empty() && ordered_ < kOrderedMax) {
    const std::uint32_t id = to_ask_.front();
    Place& place = places_.at(id);
    if (!agent.make_sockets(first_tag + id, {.family = place.guest.address.family(),
                                             .datagrams = place.datagrams,
                                             .bound = place.guest})) {
      return false;
    }
    place.standing = Standing::kAsked;
    to_ask_.pop_front();
    ++ordered_;
  }
  return true;
}

void LoopbackPorts::on_socket(std::uint32_t id, agent::AgentSockets answer, Instant now) {
  const auto found = places_.find(id);
  if (found == places_.end() || found->second.standing != Standing::kAsked) return;
  --ordered_;
  Place& place = found->second;
  if (!place.wanted) {
    drop(id);
    return;
  }
  if (answer.error != 0) {
    refuse(place, answer.error, now);
    return;
  }
  adopt(place, answer.take_one());
  const bool waits = !place.datagrams && resume_at_ != kNever;
  if (waits || watch(id, place)) return;
  place.listener.close();
  place.socket.close();
  refuse(place, ENOSPC, now);  // As epoll_ctl(2) has it.
}

// Nobody asked for the one that follows by its number.
void LoopbackPorts::refuse(Place& place, int error, Instant now) {
  place.standing = Standing::kRefused;
  if (!place.follows) {
    tell(place, error);
  } else if (ask_again_at_ == kNever) {
    ask_again_at_ = now + kAskAgain;
  }
}

void LoopbackPorts::lose(const EventTag& tag, int error, Instant now) {
  Place* const place = find(tag);
  if (place == nullptr) return;
  (void)loop_.remove(place->listener.fd());
  place->listener.close();
  refuse(*place, error, now);
}

void LoopbackPorts::ask_again() {
  ask_again_at_ = kNever;
  for (auto& [id, place] : places_) {
    if (!place.follows || place.standing != Standing::kRefused) continue;
    place.standing = Standing::kToAsk;
    to_ask_.push_back(id);
  }
}

void LoopbackPorts::adopt(Place& place, UniqueFd socket) {
  sys::KernelFd fd(kernel_, socket.release());
  if (place.datagrams) {
    place.socket = host::UdpSocket::adopt(std::move(fd));
  } else {
    place.listener =
        host::TcpListener::adopt(std::move(fd), {.urgent_inline = true, .guarded = true});
  }
  place.standing = Standing::kThere;
}

void LoopbackPorts::tell(const Place& place, int error) {
  const bool no_address = error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
  // A guest without IPv6 has nothing to miss.
  if (no_address && !place.guest.address.is_v4()) return;
  if (++told_ > kToldMax) return;
  telemetry::log_warn("{}/{} of the guest does not lead to the host's loopback: {}{}",
                      wire::to_string(place.guest), place.datagrams ? "udp" : "tcp",
                      sys::errno_text(error),
                      error == EADDRINUSE ? "; a program in the guest has this port"
                      : no_address        ? "; is its loopback interface up?"
                      : error == EINVAL   ? "; the guest has ended our socket there"
                                          : "");
}

LoopbackPorts::Place* LoopbackPorts::find(const EventTag& tag) {
  const auto found = places_.find(tag.index);
  if (found == places_.end() || found->second.standing != Standing::kThere) return nullptr;
  return &found->second;
}

bool LoopbackPorts::watch(std::uint32_t id, const Place& place) {
  const EventTag tag{place.datagrams ? EventKind::kGuestDatagrams : EventKind::kGuestListener, id};
  const int fd = place.datagrams ? place.socket.fd() : place.listener.fd();
  return loop_.add(fd, EPOLLIN, tag.pack()).has_value();
}

void LoopbackPorts::pause(Instant now) {
  // One that is not watched stays so.
  for (const auto& [id, place] : places_) {
    if (place.listener.valid()) (void)loop_.remove(place.listener.fd());
  }
  resume_at_ = now + host::kAcceptPause;
}

void LoopbackPorts::resume(Instant now) {
  resume_at_ = kNever;
  for (const auto& [id, place] : places_) {
    if (!place.listener.valid() || watch(id, place)) continue;
    pause(now);
    return;
  }
}

}  // namespace sluice::driver
