// Datagrams between the guest's loopback and the host's, which never pass the link: the driver has
// a socket at the guest's loopback, and each program that writes to it is a flow like others, to a
// host socket of its own. docs/loopback.md has who reaches whom.
#include "flow/udp/udp_flows.h"

namespace sluice::flow {
// The policy is not asked: whoever has the listener opened has let it through.
void UdpFlows::on_loopback_datagrams(const LoopbackClient& from, ByteView datagrams,
                                     std::uint16_t segment_size, Turn turn) {
  const FlowKey key{from.guest, from.target, wire::IpProtocol::kUdp};
  std::uint32_t index = index_of(key);
  if (index == FlowTable::kNone) {
    Metered metered;
    const policy::Verdict verdict =
        admission_.admit_unasked(policy::FlowSide::kOutbound, turn.now, metered);
    if (verdict != policy::Verdict::kAccepted) {
      turn.out.push(ReportFlow{refused_flow(key, verdict, {}, turn.now)});
      return;
    }
    index = create(key, from.target, socket_for(key.guest, turn.out), turn.now);
    flows_.at(index).by_loopback = true;
    flows_.at(index).metered = metered;
    turn.out.tell_opening(flows_.at(index));
    set_standing(index, Standing::kAskedOnce);
  } else if (flows_.at(index).standing == Standing::kAskedOnce) {
    set_standing(index, Standing::kConfirmed);
  }
  Flow& flow = flows_.at(index);
  flow.active = turn.now;
  flow.listener = from.listener;
  send_to_host(index, {datagrams, segment_size}, GuestCall::kHopLimit, turn);
}

}  // namespace sluice::flow
