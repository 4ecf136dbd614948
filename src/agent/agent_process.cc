#include "agent/agent_process.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "agent/agent_channels.h"
#include "agent/agent_wire.h"
#include "agent/fast_path_setup.h"
#include "agent/guest_socket.h"
#include "agent/hand_over_desk.h"
#include "base/overloaded.h"
#include "sandbox/helper_process.h"
#include "sandbox/sandbox.h"

namespace sluice::agent {
namespace {

// The set-up costs as much time of a processor as the start of a small command, so it comes after
// that. Nobody needs the fast path earlier, and commands that are soon over not at all.
constexpr Duration kBeginAfter = std::chrono::milliseconds(10);

// The other end is gone; receive() finds out.
void ignore(const std::expected<void, sys::SysError>&) {}

void say_missing(const AgentChannels& channels, const sys::SetupError& error) {
  for (std::size_t worker = 0; worker < channels.size(); ++worker) {
    ignore(send_missing(channels.fd(worker), error));
  }
}

void say_ready(const AgentChannels& channels, std::span<const InjectSockets> inject) {
  for (std::size_t worker = 0; worker < channels.size(); ++worker) {
    const auto sent =
        send_ready(channels.fd(worker), inject[worker].v4.get(), inject[worker].v6.get());
    if (sent) continue;
    // The others have theirs. One that is gone already misses nothing.
    ignore(send_missing(channels.fd(worker), {"pass the raw sockets on", sent.error().error, ""}));
  }
}

// Where nothing can be handed over: an order may have crossed the word of it.
void refuse(const AgentChannels& channels, std::span<const AgentChannels::Order> orders) {
  for (const auto& [worker, order] : orders) {
    const int fd = channels.fd(worker);
    std::visit(Overloaded{
                   [fd](const HandOverOrder& o) { ignore(send_refused(fd, o.tag, EOPNOTSUPP)); },
                   [](const ReleaseOrder&) {},
                   [fd](const RepairOrder&) { ignore(send_repaired(fd, EOPNOTSUPP)); },
                   [](const SocketOrder&) {},  // Answered.
                   [](const HurryOrder&) {},
               },
               order);
  }
}

// Made at once, so they do not wait for connections that are handed over. The other orders stay.
void answer_sockets(const AgentChannels& channels, std::vector<AgentChannels::Order>& orders) {
  std::erase_if(orders, [&](const AgentChannels::Order& each) {
    const auto* const asked = std::get_if<SocketOrder>(&each.order);
    if (asked != nullptr) answer_socket_order(channels.fd(each.worker), *asked);
    return asked != nullptr;
  });
}

// These two serve until the last channel closes, or not at all where the process cannot be
// confined.

void serve_hand_overs(AgentChannels& channels, FastPathPieces pieces, const AgentContext& context,
                      sandbox::SeccompMode mode) {
  HandOverDesk desk(channels, std::move(pieces.divert));
  if (auto done = sandbox::enter_agent_sandbox(mode, sandbox::AgentWork::kHandOvers); done) {
    say_ready(channels, std::exchange(pieces.inject, {}));
    while (auto orders = channels.receive(desk.patience())) {
      answer_sockets(channels, *orders);
      desk.turn(*orders);
    }
  } else {
    say_missing(channels, done.error());
  }
  if (context.tidies_up) desk.tidy_up();
}

void serve_sockets(AgentChannels& channels, sandbox::SeccompMode mode) {
  if (!sandbox::enter_agent_sandbox(mode, sandbox::AgentWork::kSockets)) return;
  while (auto orders = channels.receive(kForever)) {
    answer_sockets(channels, *orders);
    refuse(channels, *orders);
  }
}

}  // namespace

void run_guest_agent(AgentContext context) {
  const sandbox::SeccompMode mode = sandbox::seccomp_mode_from_environment();
  AgentChannels channels(sandbox::stand_alone(std::move(context.channels), "sluice-agent", mode));
  if (context.hands_over) {
    if (!channels.await_news(kBeginAfter)) ::_exit(0);
    auto pieces = set_up_fast_path(context, channels.size());
    if (pieces) {
      serve_hand_overs(channels, std::move(*pieces), context, mode);
      ::_exit(0);
    }
    say_missing(channels, pieces.error());
  }
  serve_sockets(channels, mode);
  ::_exit(0);
}

}  // namespace sluice::agent
