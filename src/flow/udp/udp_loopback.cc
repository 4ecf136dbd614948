// Datagrams between the guest's loopback and the host's, which never pass the link: the driver has
// a socket at the guest's loopback, and each program that writes to it is a flow like others, to a
// host socket of its own. docs/loopback.md has who reaches whom.
#include "flow/udp/udp_flows.h"

namespace sluice::flow {

void UdpFlows::on_loopback_datagrams(const LoopbackClient& from, ByteView datagrams,
                                     std::uint16_t segment_size, Turn turn) {
  const FlowKey key{from.guest, from.target, wire::IpProtocol::kUdp};
  std::uint32_t index = index_of(key);
  if (index == FlowTable::kNone) {
    index = open_loopback(key, turn);
    if (index == FlowTable::kNone) return;
  } else if (flows_.at(index).standing == Standing::kAskedOnce) {
    set_standing(index, Standing::kConfirmed);
  }
  Flow& flow = flows_.at(index);
  flow.active = turn.now;
  flow.listener = from.listener;
  if (flow.metered.any()) [[unlikely]] {
    const auto passing =
        meter(index, flow.metered.meter->to_host(), {datagrams, segment_size}, turn);
    if (!passing) return;
    datagrams = datagrams.first(*passing);
  }
  flow.bytes_to_host += datagrams.size();
  turn.out.push(SendUdp{.socket = flow.socket,
                        .target = flow.target,
                        .payload = datagrams,
                        .segment_size = segment_size,
                        .local = std::nullopt});
}

// Not asked of the policy: whoever has the listener opened has let it through.
std::uint32_t UdpFlows::open_loopback(const FlowKey& key, Turn turn) {
  Metered metered;
  const policy::Verdict verdict =
      admission_.admit_unasked(policy::FlowSide::kOutbound, turn.now, metered);
  if (verdict != policy::Verdict::kAccepted) {
    turn.out.push(ReportFlow{refused_flow(key, verdict, {}, turn.now)});
    return FlowTable::kNone;
  }
  const std::uint32_t index = create(key, key.remote, socket_for(key.guest, turn.out), turn.now);
  Flow& flow = flows_.at(index);
  flow.by_loopback = true;
  flow.metered = metered;
  turn.out.tell_opening(flow);
  set_standing(index, Standing::kAskedOnce);
  return index;
}

}  // namespace sluice::flow
