#include "netlink/address_watch.h"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "netlink/netlink_attributes.h"
#include "wire/ip/nat64.h"

namespace sluice::netlink {
namespace {

constexpr std::uint32_t group(unsigned number) { return 1U << (number - 1); }
constexpr std::uint32_t kGroups =
    group(RTNLGRP_IPV4_IFADDR) | group(RTNLGRP_IPV6_IFADDR) | group(RTNLGRP_ND_USEROPT);

// The kernel's dumps are cut into messages of up to 32 KiB for those who have the room.
constexpr std::size_t kReceiveRoom = 32 * 1024;
constexpr int kReadsPerTurn = 64;

// ND options are counted in units of eight octets (RFC 4861, 4.6).
constexpr std::size_t kOptionUnit = 8;

}  // namespace

std::expected<AddressWatch, sys::SysError> AddressWatch::open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd.valid()) return std::unexpected(sys::last_error(sys::SysOp::kNetlink));
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  self.nl_groups = kGroups;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kNetlink));
  }
  AddressWatch watch(std::move(fd));
  if (auto asked = watch.ask_for_all(); !asked) return std::unexpected(asked.error());
  while (watch.asked_) {
    if (const auto news = watch.read(); !news) return std::unexpected(news.error());
    constexpr int kPatienceMs = 1000;
    pollfd waiting{.fd = watch.fd(), .events = POLLIN, .revents = 0};
    if (watch.asked_ && ::poll(&waiting, 1, kPatienceMs) == 0) {
      return std::unexpected(sys::SysError{sys::SysOp::kNetlink, ETIMEDOUT});
    }
  }
  return watch;
}

std::expected<void, sys::SysError> AddressWatch::ask_for_all() {
  alignas(nlmsghdr) std::array<char, 64> room{};
  nlmsghdr* header = mnl_nlmsg_put_header(room.data());
  header->nlmsg_type = RTM_GETADDR;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = ++sequence_;
  (void)mnl_nlmsg_put_extra_header(header, sizeof(ifaddrmsg));  // AF_UNSPEC: both families.
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd_.get(), room.data(), header->nlmsg_len, 0,
               reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kNetlink));
  }
  asked_.emplace();
  was_disturbed_ = false;
  return {};
}

std::expected<AddressWatch::News, sys::SysError> AddressWatch::read() {
  News news;
  alignas(nlmsghdr) std::array<char, kReceiveRoom> room;
  for (int i = 0; i < kReadsPerTurn; ++i) {
    sockaddr_nl sender{};
    socklen_t sender_size = sizeof sender;
    const ssize_t got = ::recvfrom(fd_.get(), room.data(), room.size(), 0,
                                   reinterpret_cast<sockaddr*>(&sender), &sender_size);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      if (errno != ENOBUFS) return std::unexpected(sys::last_error(sys::SysOp::kNetlink));
      if (auto asked = ask_for_all(); !asked) return std::unexpected(asked.error());
      continue;
    }
    // Processes of other users may send to this socket as well; only the kernel has port 0.
    if (sender.nl_pid != 0) continue;
    int left = static_cast<int>(got);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(room.data());
         mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      on_message(*message, news);
    }
    if (was_disturbed_ && !asked_) {
      if (auto asked = ask_for_all(); !asked) return std::unexpected(asked.error());
    }
  }
  return news;
}

void AddressWatch::on_message(const nlmsghdr& message, News& news) {
  if ((message.nlmsg_flags & NLM_F_DUMP_INTR) != 0) was_disturbed_ = true;
  switch (message.nlmsg_type) {
    case RTM_NEWADDR:
    case RTM_DELADDR: on_address(message, news); return;
    case RTM_NEWNDUSEROPT: on_router_option(message, news); return;
    case NLMSG_DONE:
      if (message.nlmsg_seq == sequence_ && asked_) on_done(news);
      return;
    default: return;
  }
}

void AddressWatch::on_address(const nlmsghdr& message, News& news) {
  if (mnl_nlmsg_get_payload_len(&message) < sizeof(ifaddrmsg)) return;
  const auto* header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(&message));
  // Of a point-to-point link IFA_ADDRESS is the peer's.
  std::optional<wire::IpAddress> own;
  for_each_attribute(message, sizeof(ifaddrmsg), [&own](const nlattr& attribute) {
    const std::uint16_t type = mnl_attr_get_type(&attribute);
    if (type == IFA_LOCAL || (type == IFA_ADDRESS && !own)) own = address_in(attribute);
  });
  if (!own) return;
  const Entry entry{*own, header->ifa_index};
  if (message.nlmsg_type == RTM_NEWADDR) {
    if (asked_) asked_->insert(entry);
    if (known_.insert(entry).second) news.addresses_changed = true;
  } else {
    if (asked_) asked_->erase(entry);
    if (known_.erase(entry) != 0) news.addresses_changed = true;
  }
}

void AddressWatch::on_router_option(const nlmsghdr& message, News& news) {
  const std::size_t size = mnl_nlmsg_get_payload_len(&message);
  if (size < sizeof(nduseroptmsg)) return;
  const auto* header = static_cast<const nduseroptmsg*>(mnl_nlmsg_get_payload(&message));
  const auto* options = reinterpret_cast<const std::uint8_t*>(header) + sizeof(nduseroptmsg);
  ByteView rest(options,
                std::min<std::size_t>(header->nduseropt_opts_len, size - sizeof(nduseroptmsg)));
  while (rest.size() >= kOptionUnit) {
    const std::size_t length = rest[1] * kOptionUnit;
    if (length == 0 || length > rest.size()) return;
    if (const auto prefix = wire::nat64_prefix_in_option(rest.first(length))) {
      news.nat64.push_back(*prefix);
    }
    rest = rest.subspan(length);
  }
}

void AddressWatch::on_done(News& news) {
  if (known_ != *asked_) news.addresses_changed = true;
  known_ = std::move(*asked_);
  asked_.reset();
}

std::vector<wire::IpAddress> AddressWatch::addresses() const {
  std::vector<wire::IpAddress> list;
  for (const Entry& entry : known_) {
    if (list.empty() || list.back() != entry.first) list.push_back(entry.first);
  }
  return list;
}

}  // namespace sluice::netlink
