#include "agent/agent_wire.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "base/overloaded.h"
#include "sys/control_message.h"
#include "sys/packet_text.h"

namespace sluice::agent {
namespace {

enum class OrderKind : std::uint8_t { kHandOver, kRelease, kRepair, kSockets, kHurry };

struct OrderPacket {
  OrderKind kind = OrderKind::kRepair;
  std::uint64_t tag = 0;
  Instant deadline = {};
  wire::TcpSnapshot snapshot = {};  // Of kRelease: the endpoints only.
  GuestSocket socket = {};          // Of kSockets, and how many.
  std::uint32_t count = 0;
};
static_assert(std::is_trivially_copyable_v<OrderPacket>);

enum class MessageKind : std::uint8_t {
  kReady,
  kMissing,
  kHandedOver,
  kRefused,
  kRepaired,
  kSockets
};

struct MessagePacket {
  MessageKind kind = MessageKind::kRepaired;
  // Of kReady: which of the two descriptors follow.
  bool has_v4 = false;
  bool has_v6 = false;
  std::int32_t error = 0;
  std::uint64_t tag = 0;
  // Sent with kMissing only.
  std::array<char, 160> step{};
  std::array<char, 320> hint{};
};
constexpr std::size_t kShortMessage = offsetof(MessagePacket, step);

constexpr std::size_t kMostDescriptors = kMostSockets;
constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(int) * kMostDescriptors);
struct alignas(cmsghdr) Control : std::array<std::uint8_t, kControlSize> {};

OrderPacket packet_of(const AgentOrder& order) {
  return std::visit(Overloaded{
                        [](const HandOverOrder& o) {
                          return OrderPacket{.kind = OrderKind::kHandOver,
                                             .tag = o.tag,
                                             .deadline = o.deadline,
                                             .snapshot = o.snapshot};
                        },
                        [](const ReleaseOrder& o) {
                          OrderPacket packet{.kind = OrderKind::kRelease};
                          packet.snapshot.local = o.remote;
                          packet.snapshot.peer = o.guest;
                          return packet;
                        },
                        [](const RepairOrder&) { return OrderPacket{}; },
                        [](const SocketOrder& o) {
                          return OrderPacket{.kind = OrderKind::kSockets,
                                             .tag = o.tag,
                                             .socket = o.socket,
                                             .count = static_cast<std::uint32_t>(o.count)};
                        },
                        [](const HurryOrder&) { return OrderPacket{.kind = OrderKind::kHurry}; },
                    },
                    order);
}

AgentOrder order_of(const OrderPacket& packet) {
  switch (packet.kind) {
    case OrderKind::kHandOver: return HandOverOrder{packet.tag, packet.deadline, packet.snapshot};
    case OrderKind::kRelease: return ReleaseOrder{packet.snapshot.peer, packet.snapshot.local};
    case OrderKind::kRepair: return RepairOrder{};
    case OrderKind::kSockets:
      return SocketOrder{packet.tag, packet.socket,
                         std::min<std::size_t>(packet.count, kMostSockets)};
    case OrderKind::kHurry: return HurryOrder{};
  }
  return RepairOrder{};
}

std::expected<void, sys::SysError> send_packet(int channel, const MessagePacket& packet,
                                               std::size_t size, std::span<const int> descriptors) {
  // sendmsg() does not write to what it sends.
  iovec part{.iov_base = const_cast<MessagePacket*>(&packet), .iov_len = size};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  Control control{};
  sys::ControlWriter writer(control);
  writer.add_descriptors(descriptors);
  writer.attach_to(header);
  while (::sendmsg(channel, &header, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return std::unexpected(sys::last_error(sys::SysOp::kSend));
  }
  return {};
}

AgentMessage message_of(const MessagePacket& packet, std::vector<UniqueFd> descriptors) {
  // A stranger could have passed some that block.
  for (const UniqueFd& one : descriptors) (void)::fcntl(one.get(), F_SETFL, O_NONBLOCK);
  // Those for whom we had no room are missing.
  auto next = descriptors.begin();
  const auto take = [&] { return next == descriptors.end() ? UniqueFd() : std::move(*next++); };
  switch (packet.kind) {
    case MessageKind::kReady: {
      AgentReady ready;
      if (packet.has_v4) ready.inject_v4 = take();
      if (packet.has_v6) ready.inject_v6 = take();
      return ready;
    }
    case MessageKind::kMissing:
      return AgentMissing{{sys::take_text(packet.step), packet.error, sys::take_text(packet.hint)}};
    case MessageKind::kHandedOver: return AgentHandedOver{packet.tag, take()};
    case MessageKind::kRefused: return AgentRefused{packet.tag, packet.error};
    case MessageKind::kRepaired: return AgentRepaired{packet.error};
    case MessageKind::kSockets: {
      const bool lost = packet.error == 0 && descriptors.empty();
      return AgentSockets{packet.tag, lost ? EMFILE : packet.error, std::move(descriptors)};
    }
  }
  return AgentGone{};
}

}  // namespace

std::expected<void, sys::SysError> send_order(int channel, const AgentOrder& order) {
  const OrderPacket packet = packet_of(order);
  while (::send(channel, &packet, sizeof packet, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return std::unexpected(sys::last_error(sys::SysOp::kSend));
  }
  return {};
}

bool wait_for_news(std::span<pollfd> channels, Duration at_most) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at_most);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (at_most - seconds).count()};
  const timespec* const limit = at_most == kForever ? nullptr : &timeout;
  return ::ppoll(channels.data(), channels.size(), limit, nullptr) > 0;
}

std::optional<std::vector<AgentOrder>> receive_orders(int channel, Duration at_most) {
  pollfd item{.fd = channel, .events = POLLIN, .revents = 0};
  if (at_most != kForever && !wait_for_news({&item, 1}, at_most)) return std::vector<AgentOrder>{};
  std::array<OrderPacket, kMostOrders> packets;
  std::array<iovec, kMostOrders> parts{};
  std::array<mmsghdr, kMostOrders> headers{};
  for (std::size_t i = 0; i < kMostOrders; ++i) {
    parts[i] = {.iov_base = &packets[i], .iov_len = sizeof packets[i]};
    headers[i].msg_hdr.msg_iov = &parts[i];
    headers[i].msg_hdr.msg_iovlen = 1;
  }
  int got = 0;
  while ((got = ::recvmmsg(channel, headers.data(), kMostOrders, MSG_WAITFORONE, nullptr)) < 0 &&
         errno == EINTR) {
  }
  std::vector<AgentOrder> orders;
  for (std::size_t i = 0; i < static_cast<std::size_t>(std::max(got, 0)); ++i) {
    // An end of file reads as packets of no bytes.
    if (headers[i].msg_len == sizeof(OrderPacket)) orders.push_back(order_of(packets[i]));
  }
  if (orders.empty()) return std::nullopt;
  return orders;
}

std::expected<void, sys::SysError> send_ready(int channel, int inject_v4, int inject_v6) {
  const MessagePacket packet{
      .kind = MessageKind::kReady, .has_v4 = inject_v4 >= 0, .has_v6 = inject_v6 >= 0};
  std::array<int, kMostDescriptors> descriptors{};
  std::size_t count = 0;
  if (packet.has_v4) descriptors[count++] = inject_v4;
  if (packet.has_v6) descriptors[count++] = inject_v6;
  return send_packet(channel, packet, kShortMessage, std::span(descriptors).first(count));
}

std::expected<void, sys::SysError> send_missing(int channel, const sys::SetupError& error) {
  MessagePacket packet{.kind = MessageKind::kMissing, .error = error.error};
  sys::put_text(packet.step, error.step);
  sys::put_text(packet.hint, error.hint);
  return send_packet(channel, packet, sizeof packet, {});
}

std::expected<void, sys::SysError> send_handed_over(int channel, std::uint64_t tag, int socket) {
  return send_packet(channel, {.kind = MessageKind::kHandedOver, .tag = tag}, kShortMessage,
                     {&socket, 1});
}

std::expected<void, sys::SysError> send_refused(int channel, std::uint64_t tag, int error) {
  return send_packet(channel, {.kind = MessageKind::kRefused, .error = error, .tag = tag},
                     kShortMessage, {});
}

std::expected<void, sys::SysError> send_repaired(int channel, int error) {
  return send_packet(channel, {.kind = MessageKind::kRepaired, .error = error}, kShortMessage, {});
}

std::expected<void, sys::SysError> send_sockets(int channel, std::uint64_t tag, int error,
                                                std::span<const int> sockets) {
  return send_packet(channel, {.kind = MessageKind::kSockets, .error = error, .tag = tag},
                     kShortMessage, sockets);
}

std::optional<AgentMessage> receive_message(int channel) {
  MessagePacket packet;
  iovec part{.iov_base = &packet, .iov_len = sizeof packet};
  Control control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t got = 0;
  // An agent that ended with orders unread resets the channel; what it had sent is still there.
  while ((got = ::recvmsg(channel, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0 &&
         (errno == EINTR || errno == ECONNRESET)) {
  }
  if (got < 0 && errno == EAGAIN) return std::nullopt;
  if (got < static_cast<ssize_t>(kShortMessage)) return AgentGone{};
  return message_of(packet, sys::take_descriptors(header));
}

}  // namespace sluice::agent
