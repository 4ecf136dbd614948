// UDP flows to addresses that stand for names: their first datagrams are kept until it is known
// where the name leads, and then go out of a socket that is theirs alone.
#include "flow/udp/udp_flows.h"

namespace sluice::flow {

[[gnu::cold]] std::uint32_t UdpFlows::begin_finding(const FlowKey& key, const NamedBy& by,
                                                    Turn turn) {
  const std::uint32_t index = create(key, key.remote, UdpId{}, turn.now);
  flows_.at(index).held = std::make_unique<HeldDatagrams>();
  flows_.at(index).by = by;
  find_target(index, turn);
  return index;
}

[[gnu::cold]] void UdpFlows::find_target(std::uint32_t index, Turn turn) {
  Flow& flow = flows_.at(index);
  flow.standing = Standing::kSought;
  timers_.arm(flow.timer, turn.now + kUnanswered);
  turn.out.push(FindTarget{.flow = id_of(index), .key = flow.key, .by = flow.by});
}

[[gnu::cold]] void UdpFlows::on_found(SlabHandle handle, const FoundTarget& found, Turn turn) {
  Flow* flow = flows_.find(handle);
  if (flow == nullptr || flow->standing != Standing::kSought) return;
  if (found.targets.empty()) {
    if (found.verdict != policy::Verdict::kAccepted) {
      refuse(handle.index, found.verdict, turn);
      return;
    }
    link_.send_error(
        {.kind = IcmpErrorKind::kHostUnreachable},
        {.protocol = wire::IpProtocol::kUdp, .guest = flow->key.guest, .remote = flow->key.remote},
        turn);
    remove(handle.index, policy::Outcome::kUnreachable, turn);
    return;
  }
  // There is no handshake that would tell of one that does not answer.
  flow->target = found.targets.front();
  flow->socket = sockets_.add_own(flow->key.guest, handle.index);
  turn.out.push(OpenUdp{flow->socket, flow->target.address.family()});
  flow->standing = Standing::kConfirmed;
  send_held(handle.index, turn);
}

}  // namespace sluice::flow
