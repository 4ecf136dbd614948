// Connections between the host's loopback and the guest's, which never pass the link: the driver
// joins two kernel sockets, and the flow is what counts, limits and ends them. docs/loopback.md has
// who reaches whom.
#include "flow/tcp/tcp_loopback.h"

#include <utility>

#include "flow/tcp/tcp_flows.h"

namespace sluice::flow {
namespace {

// As long as our SYNs to a guest that does not answer: a server there may have no room.
constexpr Duration kCallPatience = std::chrono::seconds(63);

[[nodiscard]] wire::IpFamily other(wire::IpFamily family) {
  return family == wire::IpFamily::kV4 ? wire::IpFamily::kV6 : wire::IpFamily::kV4;
}

}  // namespace

// The client's own family comes first again.
Joining after_refusal(const wire::Endpoint& guest, const SynSent& state) {
  const wire::IpFamily family = guest.address.family();
  const wire::IpFamily called = state.other_family ? other(family) : family;
  return {.host_room = state.host_room,
          .server = {wire::IpAddress::loopback(called), guest.port},
          .refused = true};
}

void call_guest(TcpFlow& flow, const Joining& call, TimerWheel& timers, Turn turn) {
  flow.state = call;
  turn.out.push(CallGuest{flow.id, call.server});
  timers.arm(flow.timer, turn.now + kCallPatience);
}

void join(TcpFlow& flow, TimerWheel& timers, Instant idle_at, Turn turn) {
  flow.state.emplace<HandedOver>();
  flow.by_loopback = true;
  flow.active = turn.now;
  timers.arm(flow.timer, idle_at);
  turn.out.tell_opening(flow);
  turn.out.push(JoinTcp{flow.id});
}

std::expected<TcpId, policy::Verdict> TcpFlows::on_loopback_client(const wire::Endpoint& client,
                                                                   const wire::Endpoint& target,
                                                                   Turn turn) {
  const FlowKey key{client, target, wire::IpProtocol::kTcp};
  Metered metered;
  const policy::Verdict verdict =
      admission_.admit_unasked(policy::FlowSide::kOutbound, turn.now, metered);
  if (verdict != policy::Verdict::kAccepted) {
    turn.out.push(ReportFlow{refused_flow(key, verdict, {}, turn.now)});
    return std::unexpected(verdict);
  }
  TcpId id;
  TcpFlow& flow = create(key, id, turn.now);
  flow.by_loopback = true;
  flow.metered = metered;
  flow.state = Joining{};
  turn.out.push(ConnectTcp{id, target});
  return id;
}

void TcpFlows::on_guest_answered(TcpId id, Turn turn) {
  TcpFlow* flow = find(id);
  const auto* state = flow == nullptr ? nullptr : std::get_if<Joining>(&flow->state);
  if (state == nullptr) return;
  const wire::Endpoint server = state->server;
  if (state->refused) loopback_servers_.found(server, turn.now);
  table_.erase(flow->key, id.index);
  flow->key.guest = server;
  flow->key.remote.address = wire::IpAddress::loopback(server.address.family());
  join(*flow, timers_, turn.now + options_.idle_limit, turn);
}

void TcpFlows::on_guest_refused(TcpId id, Turn turn) {
  TcpFlow* flow = find(id);
  const auto* state = flow == nullptr ? nullptr : std::get_if<Joining>(&flow->state);
  if (state == nullptr) return;
  Joining call = *state;
  loopback_servers_.lost(call.server);
  if (!std::exchange(call.other_family, true)) {
    call.server.address = wire::IpAddress::loopback(other(call.server.address.family()));
    call_guest(*flow, call, timers_, turn);
  } else if (!call.refused) {
    ask_guest(*flow, call.host_room, turn);
  } else {
    abort(*flow, policy::Outcome::kRefused, turn);
  }
}

}  // namespace sluice::flow
