#include "agent/agent.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "agent/agent_wire.h"

namespace sluice::agent {
namespace {

std::expected<void, sys::SysError> send_if_open(const UniqueFd& channel, const AgentOrder& order) {
  if (!channel.valid()) return std::unexpected(sys::SysError{sys::SysOp::kSend, ENOTCONN});
  return send_order(channel.get(), order);
}

}  // namespace

std::expected<std::pair<GuestAgent, UniqueFd>, sys::SysError> GuestAgent::pair() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kSocketPair));
  }
  return std::pair{GuestAgent(UniqueFd(fds[0])), UniqueFd(fds[1])};
}

std::expected<void, sys::SysError> GuestAgent::hand_over(std::uint64_t tag,
                                                         const wire::TcpSnapshot& snapshot,
                                                         Instant deadline) {
  return send_if_open(channel_, HandOverOrder{tag, deadline, snapshot});
}

std::expected<void, sys::SysError> GuestAgent::release(const wire::Endpoint& guest,
                                                       const wire::Endpoint& remote) {
  return send_if_open(channel_, ReleaseOrder{guest, remote});
}

std::expected<void, sys::SysError> GuestAgent::repair() {
  return send_if_open(channel_, RepairOrder{});
}

std::expected<void, sys::SysError> GuestAgent::make_sockets(std::uint64_t tag,
                                                            const GuestSocket& like,
                                                            std::size_t count) {
  return send_if_open(channel_, SocketOrder{tag, like, count});
}

bool GuestAgent::wait(Duration patience) const {
  if (!channel_.valid()) return false;
  pollfd waiting{.fd = channel_.get(), .events = POLLIN, .revents = 0};
  const auto limit = std::chrono::ceil<std::chrono::milliseconds>(patience).count();
  return ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(limit, 0))) > 0;
}

AgentMessage GuestAgent::await(Duration patience) {
  // Where it cannot be told to hurry it has hurried enough, or is gone.
  (void)send_if_open(channel_, HurryOrder{});
  (void)wait(patience);
  return receive().value_or(AgentGone{});
}

std::optional<AgentMessage> GuestAgent::receive() {
  if (!channel_.valid()) return std::nullopt;
  auto message = receive_message(channel_.get());
  if (message && std::holds_alternative<AgentGone>(*message)) channel_.reset();
  return message;
}

}  // namespace sluice::agent
