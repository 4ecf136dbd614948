// Clients of the host's loopback that wrote to a published port: where in the guest they are led,
// and what servers at its loopback answer. docs/loopback.md has who reaches whom.
#include <utility>

#include "flow/udp/udp_flows.h"

namespace sluice::flow {

// Nobody is where it was led. Where nobody is left the client hears nothing, as of a datagram that
// was lost, and its next one begins anew.
[[gnu::cold]] void UdpFlows::lead_on(std::uint32_t index, Turn turn) {
  Flow& flow = flows_.at(index);
  GuestCall& call = *flow.call;
  calls_.hang_up(call, turn.out);
  if (!call.next()) {
    calls_.forget_kept(call);
  } else if (call.server()) {
    calls_.ask(call, index, turn.out);
  } else {
    for (const HeldDatagrams::Batch& batch : call.held.batches()) {
      link_.send_udp(flow.key.remote, flow.key.guest, batch.bytes, batch.segment_size, turn.out);
    }
  }
}

[[gnu::noinline]] void UdpFlows::call_guest(std::uint32_t index, const UdpBatch& batch, Turn turn) {
  const Flow& flow = flows_.at(index);
  GuestCall& call = *flow.call;
  const bool kept = calls_.keep(call, batch, turn.now);
  if (kept && calls_.waits_elsewhere(call, turn.now)) {
    calls_.ask_own(call, index, turn.out);
    return;
  }
  const auto& [datagrams, segment_size] = batch;
  if (call.is_open) {
    turn.out.push(SendUdp{.socket = call.socket,
                          .target = *call.server(),
                          .payload = datagrams,
                          .segment_size = segment_size,
                          .local = std::nullopt});
  } else if (!call.server()) {
    link_.send_udp(flow.key.remote, flow.key.guest, datagrams, segment_size, turn.out);
  } else {
    if (!kept) admission_.drops().count(DropReason::kUdpHeldFull);
    if (!call.socket.valid()) calls_.ask(call, index, turn.out);
  }
}

// The guest's kernel says only a few times a second that nobody waits at its address, whoever wrote
// there: others may never hear of it.
[[gnu::cold]] void UdpFlows::lead_others_on(wire::Port port, Turn turn) {
  flows_.for_each([&](SlabHandle handle, const Flow& other) {
    // One that was answered at the guest's address has no call any more.
    const bool waits = other.call != nullptr && !other.call->server();
    if (waits && other.key.guest.port == port) calls_.ask_own(*other.call, handle.index, turn.out);
  });
}

bool UdpFlows::calls_guest(UdpId socket) const {
  const UdpSockets::Socket* const owner = sockets_.find(socket);
  return owner != nullptr && owner->in_guest;
}

[[gnu::cold]] void UdpFlows::on_guest_opened(UdpId socket, Turn turn) {
  if (!calls_guest(socket)) return;
  GuestCall& call = *flows_.at(sockets_.at(socket.index).only).call;
  call.is_open = true;
  call.held_since = turn.now;
  for (const HeldDatagrams::Batch& batch : call.held.batches()) {
    turn.out.push(SendUdp{.socket = socket,
                          .target = *call.server(),
                          .payload = batch.bytes,
                          .segment_size = batch.segment_size,
                          .local = std::nullopt});
  }
}

[[gnu::cold]] void UdpFlows::on_guest_refused(UdpId socket, Turn turn) {
  if (!calls_guest(socket)) return;
  const std::uint32_t index = sockets_.at(socket.index).only;
  GuestCall& call = *flows_.at(index).call;
  calls_.lost(call);
  if (std::exchange(call.answered, false)) {
    calls_.hang_up(call, turn.out);
    call.restart();
  } else {
    lead_on(index, turn);
  }
}

[[gnu::cold]] bool UdpFlows::on_guest_unreachable(const wire::Endpoint& guest,
                                                  const wire::Endpoint& remote, Turn turn) {
  const std::uint32_t index = index_of({guest, remote, wire::IpProtocol::kUdp});
  if (index == FlowTable::kNone) return false;
  Flow& flow = flows_.at(index);
  if (!flow.inbound || !flow.target.address.is_loopback()) return false;
  if (flow.call == nullptr) {  // Its server has gone.
    flow.call = calls_.begin(flow.target.address.family(), guest.port, turn.now);
  }
  if (flow.call == nullptr || flow.call->server()) return false;
  lead_on(index, turn);
  return true;
}

void UdpFlows::answer_client(std::uint32_t index, const UdpBatch& batch, Turn turn) {
  Flow& flow = flows_.at(index);
  flow.active = turn.now;
  flow.by_loopback = true;
  if (!flow.call->answered && calls_.found(*flow.call, turn.now)) {
    lead_others_on(flow.key.guest.port, turn);
  }
  if (!std::exchange(flow.answered, true)) {
    set_standing(index, Standing::kUnconfirmed);
    turn.out.tell_opening(flow);
  }
  send_to_host(index, batch, GuestCall::kHopLimit, turn);
}

}  // namespace sluice::flow
