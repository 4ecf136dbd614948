#include "host/error_queue.h"

#include <linux/errqueue.h>
#include <netinet/icmp6.h>

#include <array>
#include <cstring>

#include "sys/control_message.h"
#include "sys/sockaddr.h"

namespace sluice::host {
namespace {

ErrorOrigin origin_of(std::uint8_t origin) {
  switch (origin) {
    case SO_EE_ORIGIN_LOCAL: return ErrorOrigin::kLocal;
    case SO_EE_ORIGIN_ICMP: return ErrorOrigin::kIcmp;
    case SO_EE_ORIGIN_ICMP6: return ErrorOrigin::kIcmpv6;
    default: return ErrorOrigin::kOther;
  }
}

bool is_extended_error(const cmsghdr& header) {
  return (header.cmsg_level == IPPROTO_IP && header.cmsg_type == IP_RECVERR) ||
         (header.cmsg_level == IPPROTO_IPV6 && header.cmsg_type == IPV6_RECVERR);
}

// The offender's sockaddr stands after the sock_extended_err (SO_EE_OFFENDER).
void take_extended_error(const cmsghdr& header, ErrorReport& report) {
  const std::size_t size = header.cmsg_len - CMSG_LEN(0);
  sock_extended_err detail{};
  if (size < sizeof detail) return;
  const std::uint8_t* data = CMSG_DATA(&header);
  std::memcpy(&detail, data, sizeof detail);
  report.origin = origin_of(detail.ee_origin);
  report.error = static_cast<int>(detail.ee_errno);
  report.icmp_type = detail.ee_type;
  report.icmp_code = detail.ee_code;
  report.info = detail.ee_info;

  sockaddr_storage offender{};
  const std::size_t rest = std::min(size - sizeof detail, sizeof offender);
  std::memcpy(&offender, data + sizeof detail, rest);
  if (const auto endpoint = sys::from_sockaddr(offender, static_cast<socklen_t>(rest))) {
    report.offender = endpoint->address;
  }
}

}  // namespace

[[gnu::cold]] std::expected<std::optional<ErrorReport>, sys::SysError> read_error_queue(
    const sys::KernelFd& fd, MutableBytes quote) {
  constexpr std::size_t kControlSize = 512;
  alignas(cmsghdr) std::array<std::uint8_t, kControlSize> control{};
  sockaddr_storage destination{};
  iovec part{.iov_base = quote.data(), .iov_len = quote.size()};
  msghdr message{};
  message.msg_name = &destination;
  message.msg_namelen = sizeof destination;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();

  const ssize_t got = fd.kernel().recvmsg(fd.get(), &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  if (got < 0) {
    if (sys::would_block(errno)) return std::nullopt;
    return std::unexpected(sys::last_error(sys::SysOp::kErrorQueue));
  }
  ErrorReport report;
  report.quoted = static_cast<std::size_t>(got);
  if (const auto endpoint = sys::from_sockaddr(destination, message.msg_namelen)) {
    report.destination = *endpoint;
  }
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (is_extended_error(*header)) {
      take_extended_error(*header, report);
    } else if (const auto v4 = sys::control_value<in_pktinfo>(*header, IPPROTO_IP, IP_PKTINFO)) {
      report.local = sys::from_in_addr(v4->ipi_addr);
    } else if (const auto v6 =
                   sys::control_value<in6_pktinfo>(*header, IPPROTO_IPV6, IPV6_PKTINFO)) {
      report.local = sys::from_in6_addr(v6->ipi6_addr);
    }
  }
  return report;
}

}  // namespace sluice::host
