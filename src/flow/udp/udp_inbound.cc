// The clients of published UDP ports: how they become flows, and which of them make room.
#include "flow/udp/udp_flows.h"

namespace sluice::flow {
namespace {

// A server that is at work answers within this.
constexpr Duration kGrace = std::chrono::seconds(1);

}  // namespace

void UdpFlows::withdraw(UdpId socket, Turn turn) {
  if (sockets_.withdraw(socket) && sockets_.drop_unused(socket)) turn.out.push(CloseUdp{socket});
}

// The flow of a datagram that came to a published port; a new one for a new client.
[[gnu::noinline]] std::uint32_t UdpFlows::flow_of_client(const ClientKey& client, Turn turn) {
  const wire::Endpoint& from = client.client;
  const std::uint32_t found = client_table_.find(
      client, [this](std::uint32_t index) { return client_key(flows_.at(index)); });
  if (found != ClientTable::kNone) {
    // Who speaks after an answer has most likely got it.
    if (flows_.at(found).standing == Standing::kUnconfirmed) {
      set_standing(found, Standing::kConfirmed);
    }
    return found;
  }
  if (sockets_.at(client.socket.index).withdrawn) {
    admission_.drops().count(DropReason::kUdpUnasked);
    return FlowTable::kNone;
  }
  const wire::Endpoint& guest = sockets_.at(client.socket.index).guest;
  FlowKey key{{link_.taken_for(guest.address), guest.port},
              {targets_.as_guest_sees(from.address), from.port},
              wire::IpProtocol::kUdp};
  for (std::uint32_t tries = 0;; ++tries) {
    const std::uint32_t taken = index_of(key);
    if (taken == FlowTable::kNone) break;
    // The guest wrote there from its published port, most likely a late answer, and heard nothing.
    if (const Flow& other = flows_.at(taken);
        other.standing == Standing::kUnanswered && !other.inbound) {
      remove(taken, policy::Outcome::kMadeRoom, turn);
      break;
    }
    if (!flows_.at(taken).inbound || tries == TargetMap::kPortTries) {
      // The guest's own flow has this name already, or too many clients share it.
      admission_.drops().count(DropReason::kUdpUnasked);
      return FlowTable::kNone;
    }
    key.remote.port = TargetMap::next_port(key.remote.port);
  }
  return open_inbound(client, key, turn);
}

std::uint32_t UdpFlows::open_inbound(const ClientKey& client, FlowKey key, Turn turn) {
  if (!admission_.has_room(policy::FlowSide::kInboundDatagram)) (void)make_room(turn);
  Metered metered;
  const policy::Verdict verdict =
      admission_.admit_unasked(policy::FlowSide::kInboundDatagram, turn.now, metered);
  if (verdict != policy::Verdict::kAccepted) {
    FlowSummary refused = refused_flow(key, verdict, {}, turn.now);
    refused.inbound = true;
    turn.out.push(ReportFlow{refused});
    return FlowTable::kNone;
  }
  const std::uint32_t index = create(key, client.client, client.socket, turn.now);
  Flow& flow = flows_.at(index);
  flow.inbound = true;
  flow.side = policy::FlowSide::kInboundDatagram;
  flow.metered = metered;
  if (client.local != wire::IpAddress{}) flow.local = client.local;
  client_table_.insert(client, index);
  set_standing(index, Standing::kUnanswered);
  if (client.client.address.is_loopback())
    flow.call = calls_.begin(client.client.address.family(), flow.key.guest.port, turn.now);
  return index;
}

void UdpFlows::set_standing(std::uint32_t index, Standing standing) {
  const auto queue_of = [this](Standing one) -> IndexQueue* {
    switch (one) {
      case Standing::kUnanswered: return &unanswered_;
      case Standing::kUnconfirmed: return &unconfirmed_;
      case Standing::kConfirmed: return nullptr;
      case Standing::kAskedOnce: return &asked_once_;
      case Standing::kAsked:
      case Standing::kSought: return nullptr;
    }
    unreachable("standing outside its enum");
  };
  const auto link_of = [this](std::uint32_t at) -> IndexLink& { return flows_.at(at).place; };
  Flow& flow = flows_.at(index);
  if (IndexQueue* queue = queue_of(flow.standing)) queue->remove(index, link_of);
  flow.standing = standing;
  if (IndexQueue* queue = queue_of(standing)) queue->push_back(index, link_of);
}

// Whoever forges senders gets as far as these flows; a client that is there has spoken again. The
// oldest go first, those without an answer before the others. But who asked just now waits for the
// answer: else each question would push out the one before it.
bool UdpFlows::make_room(Turn turn) {
  const std::uint32_t unanswered = unanswered_.front();
  const std::uint32_t unconfirmed = unconfirmed_.front();
  const bool waits =
      unanswered != IndexQueue::kNone && turn.now < flows_.at(unanswered).opened + kGrace;
  std::uint32_t leaving = unanswered;
  if (leaving == IndexQueue::kNone || (waits && unconfirmed != IndexQueue::kNone)) {
    leaving = unconfirmed;
  }
  if (leaving == IndexQueue::kNone) return false;
  remove(leaving, policy::Outcome::kMadeRoom, turn);
  return true;
}

}  // namespace sluice::flow
