#include "netlink/listening_ports.h"

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "netlink/netlink_attributes.h"

namespace sluice::netlink {
namespace {

// The kernel's dumps are cut into messages of up to 32 KiB for those who have the room.
constexpr std::size_t kReceiveRoom = 32 * 1024;

[[nodiscard]] wire::Endpoint endpoint_of(const inet_diag_msg& socket) {
  std::array<std::uint8_t, sizeof socket.id.idiag_src> octets{};
  std::memcpy(octets.data(), socket.id.idiag_src, octets.size());
  const wire::IpAddress address = socket.idiag_family == AF_INET
                                      ? wire::IpAddress::v4(ByteView(octets).first<4>())
                                      : wire::IpAddress::v6(octets);
  return {address, wire::Port{ntohs(socket.id.idiag_sport)}};
}

// Whether it takes clients of IPv4 as well, at all addresses of both families (ipv6(7)).
[[nodiscard]] bool has_both_families(const nlmsghdr& message) {
  bool only_v6 = false;
  for_each_attribute(message, sizeof(inet_diag_msg), [&only_v6](const nlattr& attribute) {
    if (mnl_attr_get_type(&attribute) != INET_DIAG_SKV6ONLY) return;
    only_v6 = mnl_attr_get_payload_len(&attribute) == 1 && mnl_attr_get_u8(&attribute) != 0;
  });
  return !only_v6;
}

void add_socket(const nlmsghdr& message, std::vector<wire::Endpoint>& found) {
  if (message.nlmsg_type != SOCK_DIAG_BY_FAMILY) return;
  if (mnl_nlmsg_get_payload_len(&message) < sizeof(inet_diag_msg)) return;
  const wire::Endpoint at =
      endpoint_of(*static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(&message)));
  found.push_back(at);
  if (!at.address.is_v4() && at.address.is_unspecified() && has_both_families(message)) {
    found.push_back({wire::IpAddress::v4(std::uint32_t{0}), at.port});
  }
}

// The error of a message that is one; 0: it is none.
[[nodiscard]] int error_in(const nlmsghdr& message) {
  if (message.nlmsg_type != NLMSG_ERROR) return 0;
  if (mnl_nlmsg_get_payload_len(&message) < sizeof(nlmsgerr)) return EPROTO;
  return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message))->error;
}

}  // namespace

std::expected<ListeningPorts, sys::SysError> ListeningPorts::open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  if (!fd.valid()) return std::unexpected(sys::last_error(sys::SysOp::kNetlink));
  ListeningPorts ports(std::move(fd));
  for (const Kind kind : {Kind::kTcp, Kind::kUdp}) {
    if (const auto asked = ports.ask(kind); !asked) return std::unexpected(asked.error());
  }
  return ports;
}

std::expected<std::vector<wire::Endpoint>, sys::SysError> ListeningPorts::ask(Kind kind) {
  std::vector<wire::Endpoint> found;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    if (const auto sent = send_request(kind, family); !sent) return std::unexpected(sent.error());
    if (const auto read = read_answer(found); !read) return std::unexpected(read.error());
  }
  std::ranges::sort(found);
  found.erase(std::ranges::unique(found).begin(), found.end());
  return found;
}

std::expected<void, sys::SysError> ListeningPorts::send_request(Kind kind, std::uint8_t family) {
  alignas(nlmsghdr) std::array<char, 128> room{};
  nlmsghdr* header = mnl_nlmsg_put_header(room.data());
  header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = ++sequence_;
  auto* request =
      static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(header, sizeof(inet_diag_req_v2)));
  const bool tcp = kind == Kind::kTcp;
  request->sdiag_family = family;
  request->sdiag_protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
  request->idiag_states = 1U << (tcp ? TCP_LISTEN : TCP_CLOSE);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd_.get(), room.data(), header->nlmsg_len, 0,
               reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kNetlink));
  }
  return {};
}

std::expected<void, sys::SysError> ListeningPorts::read_answer(std::vector<wire::Endpoint>& found) {
  alignas(nlmsghdr) std::array<char, kReceiveRoom> room;
  while (true) {
    sockaddr_nl sender{};
    socklen_t sender_size = sizeof sender;
    // Each call makes the kernel write the next part of the answer, so there always is one.
    const ssize_t got = ::recvfrom(fd_.get(), room.data(), room.size(), 0,
                                   reinterpret_cast<sockaddr*>(&sender), &sender_size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(sys::last_error(sys::SysOp::kNetlink));
    // Processes of other users may send to this socket as well; only the kernel has port 0.
    if (sender.nl_pid != 0) continue;
    int left = static_cast<int>(got);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(room.data());
         mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != sequence_) continue;  // Of an answer that was given up.
      if (message->nlmsg_type == NLMSG_DONE) return {};
      if (const int error = error_in(*message); error != 0) {
        return std::unexpected(sys::SysError{sys::SysOp::kNetlink, error});
      }
      if (found.size() < kSocketsMax) add_socket(*message, found);
    }
  }
}

}  // namespace sluice::netlink
