#include "driver/loopback/loopback_ports.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "sys/sys_error.h"
#include "telemetry/log.h"

namespace sluice::driver {
namespace {

[[nodiscard]] bool is_there(const LoopbackPorts::Place& place) {
  return place.listener.valid() || place.socket.valid();
}

}  // namespace

void LoopbackPorts::add(std::span<const policy::PortMap> maps) {
  for (const policy::PortMap& map : maps) {
    for (std::uint16_t i = 0; i < map.count; ++i) {
      const wire::Port guest{static_cast<std::uint16_t>(map.guest_first.value + i)};
      const wire::Port host{static_cast<std::uint16_t>(map.host_first.value + i)};
      for (const auto family : {wire::IpFamily::kV4, wire::IpFamily::kV6}) {
        const wire::IpAddress address = wire::IpAddress::loopback(family);
        places_.push_back({.guest = {address, guest},
                           .target = {address, host},
                           .datagrams = map.protocol == policy::Protocol::kUdp});
      }
    }
  }
}

bool LoopbackPorts::order(agent::GuestAgent& agent, std::uint64_t first_tag) {
  for (; asked_ < places_.size() && ordered_ < kOrderedMax; ++asked_, ++ordered_) {
    const Place& place = places_[asked_];
    if (!agent.make_socket(first_tag + asked_, {.family = place.guest.address.family(),
                                                .datagrams = place.datagrams,
                                                .bound = place.guest})) {
      return false;
    }
  }
  return true;
}

void LoopbackPorts::on_socket(std::size_t place, agent::AgentSocket answer) {
  if (place >= asked_ || is_there(places_[place])) return;
  if (ordered_ > 0) --ordered_;
  if (answer.error != 0) {
    tell(places_[place], answer.error);
    return;
  }
  adopt(place, std::move(answer.socket));
  const bool waits = !places_[place].datagrams && resume_at_ != kNever;
  if (waits || watch(place)) return;
  places_[place].listener.close();
  places_[place].socket.close();
  tell(places_[place], ENOSPC);  // As epoll_ctl(2) has it.
}

void LoopbackPorts::adopt(std::size_t place, UniqueFd socket) {
  // A stranger could have passed one that blocks.
  (void)kernel_.fcntl_int(socket.get(), F_SETFL, O_NONBLOCK);
  sys::KernelFd fd(kernel_, socket.release());
  if (places_[place].datagrams) {
    places_[place].socket = host::UdpSocket::adopt(std::move(fd));
  } else {
    places_[place].listener =
        host::TcpListener::adopt(std::move(fd), {.urgent_inline = true, .guarded = true});
  }
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
                                          : "");
}

LoopbackPorts::Place* LoopbackPorts::find(const EventTag& tag) {
  if (tag.index >= places_.size() || !is_there(places_[tag.index])) return nullptr;
  return &places_[tag.index];
}

bool LoopbackPorts::watch(std::size_t place) {
  const Place& one = places_[place];
  const EventTag tag{one.datagrams ? EventKind::kGuestDatagrams : EventKind::kGuestListener,
                     static_cast<std::uint32_t>(place)};
  const int fd = one.datagrams ? one.socket.fd() : one.listener.fd();
  return loop_.add(fd, EPOLLIN, tag.pack()).has_value();
}

void LoopbackPorts::pause(Instant now) {
  // One that is not watched stays so.
  for (const Place& place : places_) {
    if (place.listener.valid()) (void)loop_.remove(place.listener.fd());
  }
  resume_at_ = now + host::kAcceptPause;
}

void LoopbackPorts::resume(Instant now) {
  resume_at_ = kNever;
  for (std::size_t place = 0; place < places_.size(); ++place) {
    if (!places_[place].listener.valid() || watch(place)) continue;
    pause(now);
    return;
  }
}

}  // namespace sluice::driver
