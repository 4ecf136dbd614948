// Limits on what UDP flows carry (policy/limits/meter.h): what is over a rate is lost, as on a slow
// link, and what is over a quota ends the flow. And what a change of the policy ends.
#include <algorithm>

#include "flow/udp/udp_flows.h"

namespace sluice::flow {

[[gnu::cold]] std::optional<std::size_t> UdpFlows::meter(std::uint32_t index, policy::Lane& lane,
                                                         const UdpBatch& batch, Turn turn) {
  const auto& [datagrams, segment_size] = batch;
  const DatagramsMetered metered = meter_datagrams(lane, datagrams.size(), segment_size, turn.now);
  admission_.drops().count(DropReason::kOverRate, metered.dropped);
  if (metered.used_up) {
    const std::size_t each = segment_size == 0 ? datagrams.size() : segment_size;
    end_used_up(index, datagrams.first(std::min(each, datagrams.size())), turn);
    return std::nullopt;
  }
  if (!metered.all_pass() && metered.bytes == 0) return std::nullopt;
  return metered.bytes;
}

// The guest is told as of a flow that is refused, of its own.
[[gnu::cold]] void UdpFlows::end_used_up(std::uint32_t index, ByteView datagram, Turn turn) {
  const Flow& flow = flows_.at(index);
  flow.metered.meter->note_ended();
  if (flow.held == nullptr && !flow.inbound && !flow.by_loopback) {
    link_.send_error({.kind = IcmpErrorKind::kProhibited},
                     {.protocol = wire::IpProtocol::kUdp,
                      .guest = flow.key.guest,
                      .remote = flow.key.remote,
                      .payload = datagram},
                     turn);
  }
  cut_off(index, policy::Verdict::kQuota, turn);
}

[[gnu::cold]] void UdpFlows::judge_again(Turn turn) {
  const policy::MeterTable& meters = admission_.meters();
  flows_.for_each([&](SlabHandle handle, Flow& flow) {
    if (flow.standing == Standing::kAsked) {
      judge_waiting(handle.index, turn);
      return;
    }
    // Who called a published port, or a listener of ours, was not judged at first either.
    const bool judged = !flow.inbound && !flow.by_loopback;
    if (judged &&
        (!admission_.accepts_still(policy::Protocol::kUdp, flow.key.remote, flow.by, turn.now) ||
         !admission_.accepts_target(policy::Protocol::kUdp, flow.by,
                                    targets_.as_guest_sees(flow.leads_to())))) {
      cut_off(handle.index, policy::Verdict::kRevoked, turn);
    } else if (!admission_.move_to_meter(flow.metered,
                                         judged ? meters.of(flow.by.rule) : meters.of_run())) {
      end_used_up(handle.index, {}, turn);
    }
  });
}

}  // namespace sluice::flow
