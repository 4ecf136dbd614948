// What crosses between the agent and us, one packet (SOCK_SEQPACKET) a message, descriptors by
// SCM_RIGHTS. Both ends are the same program, so the layout is our own affair.
#pragma once

#include <poll.h>

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "agent/agent.h"
#include "base/time.h"
#include "sys/sys_error.h"
#include "wire/address.h"
#include "wire/transport/tcp_snapshot.h"

namespace sluice::agent {

struct HandOverOrder {
  std::uint64_t tag = 0;
  Instant deadline;
  wire::TcpSnapshot snapshot;
};
struct ReleaseOrder {
  wire::Endpoint guest;
  wire::Endpoint remote;
};
struct RepairOrder {};
struct SocketOrder {
  std::uint64_t tag = 0;
  GuestSocket socket;
  std::size_t count = 1;  // kMostSockets at most.
};
// Somebody waits for the agent to be ready.
struct HurryOrder {};
using AgentOrder = std::variant<HandOverOrder, ReleaseOrder, RepairOrder, SocketOrder, HurryOrder>;

// How many orders the agent takes at once.
inline constexpr std::size_t kMostOrders = 32;

// Our end. Does not block: EAGAIN when the agent has not read what was sent before.
[[nodiscard]] std::expected<void, sys::SysError> send_order(int channel, const AgentOrder& order);

inline constexpr Duration kForever = Duration::max();
// The agent's end. Whether one of the channels has something, or will before `at_most` is over:
// POLLIN for an order, and as well when the other end is gone.
[[nodiscard]] bool wait_for_news(std::span<pollfd> channels, Duration at_most);

// The agent's end. Waits for an order, but not for longer than `at_most`, and takes what is queued
// with it. Nothing once the other end is gone.
[[nodiscard]] std::optional<std::vector<AgentOrder>> receive_orders(int channel, Duration at_most);

// The agent's end. Waits for room. Descriptors stay the caller's. An error: not sent.
[[nodiscard]] std::expected<void, sys::SysError> send_ready(int channel, int inject_v4,
                                                            int inject_v6);
[[nodiscard]] std::expected<void, sys::SysError> send_missing(int channel,
                                                              const sys::SetupError& error);
[[nodiscard]] std::expected<void, sys::SysError> send_handed_over(int channel, std::uint64_t tag,
                                                                  int socket);
[[nodiscard]] std::expected<void, sys::SysError> send_refused(int channel, std::uint64_t tag,
                                                              int error);
[[nodiscard]] std::expected<void, sys::SysError> send_repaired(int channel, int error);
// As many as could be made, kMostSockets at most, and why there are no more: an errno, or 0.
[[nodiscard]] std::expected<void, sys::SysError> send_sockets(int channel, std::uint64_t tag,
                                                              int error,
                                                              std::span<const int> sockets);

// Our end. Nothing when nothing waits; AgentGone when nothing can come any more.
[[nodiscard]] std::optional<AgentMessage> receive_message(int channel);

}  // namespace sluice::agent
