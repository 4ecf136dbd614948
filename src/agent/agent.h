// The agent is a process of ours that stays in the guest's namespaces. It holds what the fast path
// needs there and our own process, confined as it is, must not have: the right to make sockets in
// the guest's network that stand for remote hosts, and to tell the guest's kernel which packets are
// theirs. It takes orders from us only, and nothing that the guest sends reaches it.
//
// A hand-over: our engine's end of a connection with the guest becomes a kernel socket in the
// guest's namespace (tcp(7), TCP_REPAIR), and packets of that connection, which the guest's kernel
// would send by the tap, are turned to its loopback and so to that socket (an nftables set of
// tuples, a mark, a policy route). docs/fast_path.md has the whole story.
//
// What the agent passes is trusted no further than the guest: a socket in its own namespace.
//
// Each worker of ours has a talk of its own with the one agent, and hears of nobody else's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "sys/setup_error.h"
#include "sys/sys_error.h"
#include "wire/address.h"
#include "wire/transport/tcp_snapshot.h"

namespace sluice::agent {

// The agent has set up all it needs. The sockets, which are this worker's own, send whole IP
// packets into the guest's loopback, as if its kernel had turned them there; invalid where the
// guest has no such family. They are connected, non-blocking, and never reach the tap. Checksums
// must be right and complete. A packet that no socket waits for is answered with a reset (IPv6) or
// not at all (IPv4).
struct AgentReady {
  UniqueFd inject_v4;
  UniqueFd inject_v6;
};
// A piece of the fast path is missing here: nothing can be handed over. Sockets can be had.
struct AgentMissing {
  sys::SetupError error;
};
// The connection is the socket's now: connected, non-blocking, its first packet answered. Closing
// it sends a RST (SO_LINGER of zero seconds) until whoever takes it over changes that. An invalid
// socket: this process had no descriptor left to take it, and the kernel has closed it so.
struct AgentHandedOver {
  std::uint64_t tag = 0;
  UniqueFd socket;
};
// Nothing has changed for the guest, but that it may have answered a window probe. Every order to
// hand over is answered, by this or the above, unless the agent is gone.
struct AgentRefused {
  std::uint64_t tag = 0;
  int error = 0;  // errno; ETIMEDOUT where the guest's kernel did not answer the new socket.
};
// The answer to repair().
struct AgentRepaired {
  int error = 0;  // errno, 0 when all is in place again.
};
// The answer to make_sockets(): non-blocking, close-on-exec, as they were asked for. Fewer than
// were asked for, or none, where `error` (errno) is not 0 or this process had no descriptors left
// to take them; EMFILE where it took none of them for that.
struct AgentSockets {
  std::uint64_t tag = 0;
  int error = 0;
  std::vector<UniqueFd> sockets;

  // Of an order for one: it, or an invalid one.
  [[nodiscard]] UniqueFd take_one() {
    return sockets.empty() ? UniqueFd() : std::move(sockets.front());
  }
};
struct AgentGone {};  // The process is gone or stopped answering; nothing will come any more.

using AgentMessage = std::variant<AgentReady, AgentMissing, AgentHandedOver, AgentRefused,
                                  AgentRepaired, AgentSockets, AgentGone>;

// A plain socket in the guest's network.
struct GuestSocket {
  wire::IpFamily family = wire::IpFamily::kV4;
  bool datagrams = false;  // UDP; else TCP.
  // Where it is bound, and waits for connections where it is TCP's; nothing: it is as socket(2)
  // makes it.
  std::optional<wire::Endpoint> bound{};
};

// How many sockets one order may ask for.
inline constexpr std::size_t kMostSockets = 16;

// Our end of the talk with the agent. Never blocks. Not thread-safe.
class GuestAgent {
 public:
  GuestAgent() = default;  // No agent: fd() is negative.
  explicit GuestAgent(UniqueFd channel) : channel_(std::move(channel)) {}
  // Our end and the agent's.
  [[nodiscard]] static std::expected<std::pair<GuestAgent, UniqueFd>, sys::SysError> pair();

  // Readable when receive() has something. Negative when there is no agent.
  [[nodiscard]] int fd() const { return channel_.get(); }
  void close() { channel_.reset(); }

  // Asks for a hand-over; answered by AgentHandedOver or AgentRefused with the same tag. In
  // `snapshot` "local" is the remote host, whose part the socket takes, and "peer" the guest.
  // After `deadline` (of the steady clock) the agent refuses rather than go on. EAGAIN: the agent
  // has its hands full, try later.
  [[nodiscard]] std::expected<void, sys::SysError> hand_over(std::uint64_t tag,
                                                             const wire::TcpSnapshot& snapshot,
                                                             Instant deadline);
  // The connection of this name is over: its packets go by the tap again. Not answered. EAGAIN:
  // not asked.
  [[nodiscard]] std::expected<void, sys::SysError> release(const wire::Endpoint& guest,
                                                           const wire::Endpoint& remote);
  // Something in the guest took away what the agent had set up: table, rules, routes. Puts it back
  // with the names of all connections that were handed over and not released, whoever asked.
  [[nodiscard]] std::expected<void, sys::SysError> repair();

  // Asks for so many sockets of this kind; answered by one AgentSockets with the same tag. EAGAIN:
  // the agent has its hands full, try later.
  [[nodiscard]] std::expected<void, sys::SysError> make_sockets(std::uint64_t tag,
                                                                const GuestSocket& like,
                                                                std::size_t count = 1);

  // Blocks until there is something to receive, an end included. False: nothing has come within
  // `patience`, or there is no agent.
  [[nodiscard]] bool wait(Duration patience) const;
  // Blocks for the next message; AgentGone when none comes within `patience`. For the start.
  [[nodiscard]] AgentMessage await(Duration patience);
  // The next message, or none yet.
  [[nodiscard]] std::optional<AgentMessage> receive();

 private:
  UniqueFd channel_;
};

}  // namespace sluice::agent
