// The hop limit of what a datagram socket sends. A control message sets it for one datagram, at a
// price that each pays; an option sets it for all. A peer's datagrams nearly always have the same,
// so that one which comes twice in a row becomes the socket's own. Not thread-safe.
#pragma once

#include <netinet/in.h>

#include <cstdint>

#include "sys/socket_options.h"
#include "wire/address.h"

namespace sluice::host {

class HopLimit {
 public:
  // Call it before a send with the limit of its first datagram; 0 is the system's default.
  void expect(const sys::KernelFd& fd, wire::IpFamily family, std::uint8_t limit) {
    if (limit == own_) return;
    const bool again = limit == 0 || limit == last_;
    last_ = limit;
    if (again) become(fd, family, limit);
  }
  // Whether a datagram must say its limit itself. Multicast does not obey the option.
  [[nodiscard]] bool must_say(const wire::IpAddress& target, std::uint8_t limit) const {
    return limit != 0 && (limit != own_ || target.is_multicast());
  }

 private:
  [[gnu::cold]] void become(const sys::KernelFd& fd, wire::IpFamily family, std::uint8_t limit) {
    const int value = limit == 0 ? -1 : int{limit};
    const auto set = family == wire::IpFamily::kV4
                         ? sys::set_option(fd, IPPROTO_IP, IP_TTL, value)
                         : sys::set_option(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, value);
    if (set) own_ = limit;
  }

  std::uint8_t own_ = 0;   // The socket's.
  std::uint8_t last_ = 0;  // Of the send before.
};

}  // namespace sluice::host
