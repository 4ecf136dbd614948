#include "flow/udp/ping_flows.h"

#include "wire/checksum.h"

namespace sluice::flow {
namespace {

// Type, code, checksum, identifier, sequence number (RFC 792; RFC 4443, 4).
constexpr std::size_t kEchoHeader = 8;

void rewrite_identifier(FixedBytes<kEchoHeader> header, std::uint16_t identifier) {
  put16<2>(header, 0);
  put16<4>(header, identifier);
}

}  // namespace

PingFlows::PingFlows(const FlowContext& context)
    : link_(context.link),
      admission_(context.admission),
      timers_(context.timers),
      timer_kind_(context.timer_kind),
      table_(context.table_secret) {}

void PingFlows::on_request(const wire::IpPacketView& packet, ByteView message, Turn turn) {
  const FlowKey key{{packet.source, wire::Port{be16<4>(message.first<kEchoHeader>())}},
                    {packet.destination, {}},
                    packet.protocol};
  std::uint32_t index =
      table_.find(key, [this](std::uint32_t at) -> const FlowKey& { return flows_.at(at).key; });
  if (index == FlowTable::kNone) {
    index = open(key, packet, turn);
    if (index == FlowTable::kNone) return;
  }
  Flow& flow = flows_.at(index);
  flow.active = turn.now;
  flow.bytes_to_host += message.size() - kEchoHeader;
  turn.out.push(SendPing{.socket = PingId{flows_.handle_of(index)},
                         .target = key.remote.address,
                         .message = message,
                         .hop_limit = packet.hop_limit});
}

std::uint32_t PingFlows::open(const FlowKey& key, const wire::IpPacketView& packet, Turn turn) {
  const Admitted admitted = admission_.judge(policy::Protocol::kIcmp, key.remote, turn.now);
  if (admitted.answer != Admitted::Answer::kAllowed) {
    link_.send_error(IcmpErrorKind::kProhibited, packet, turn);
    turn.out.push(ReportFlow{refused_flow(key, admitted.verdict, admitted.by, turn.now)});
    return FlowTable::kNone;
  }
  const PingId id{flows_.emplace(key)};
  Flow& flow = flows_.at(id.index);
  flow.by = admitted.by;
  flow.opened = turn.now;
  flow.active = turn.now;
  flow.timer.set_owner((std::uint64_t{timer_kind_} << 32) | id.index);
  timers_.arm(flow.timer, turn.now + kTimeout);
  table_.insert(key, id.index);
  turn.out.tell_opening(flow);
  turn.out.push(OpenPing{id, packet.family});
  return id.index;
}

void PingFlows::on_reply(PingId socket, const wire::IpAddress& from, MutableBytes message,
                         Turn turn) {
  Flow* flow = flows_.find(socket);
  if (flow == nullptr || message.size() < kEchoHeader) return;
  if (from != flow->key.remote.address) {
    admission_.drops().count(DropReason::kIcmpIgnored);
    return;
  }
  flow->active = turn.now;
  flow->answered = true;
  flow->bytes_to_guest += message.size() - kEchoHeader;
  const auto header = message.first<kEchoHeader>();
  rewrite_identifier(header, flow->key.guest.port.value);
  // ICMPv6 covers the pseudo-header too (RFC 4443, 2.3).
  const std::uint32_t sum =
      from.is_v4()
          ? 0
          : wire::pseudo_header_sum(from, flow->key.guest.address, wire::IpProtocol::kIcmpv6,
                                    static_cast<std::uint32_t>(message.size()));
  put16<2>(header, wire::checksum_finish(wire::checksum_add(sum, message)));
  link_.send_icmp(from, flow->key.guest.address, message, 64, turn.out);
}

[[gnu::cold]] void PingFlows::on_open_failed(PingId socket, bool forbidden, Turn turn) {
  if (flows_.find(socket) == nullptr) return;
  if (forbidden) {
    admission_.drops().count(DropReason::kPingForbidden);
  } else {
    admission_.refuse(policy::Verdict::kNoDescriptors);
  }
  remove(socket.index, policy::Outcome::kUnreachable, turn);
}

std::optional<PingFlows::Origin> PingFlows::origin_of(PingId socket) const {
  const Flow* flow = flows_.find(socket);
  if (flow == nullptr) return std::nullopt;
  return Origin{flow->key.guest.address, flow->key.remote.address, flow->key.guest.port.value};
}

void PingFlows::on_timer(std::uint32_t index, Turn turn) {
  Flow& flow = flows_.at(index);
  if (turn.now < flow.active + kTimeout) {
    timers_.arm(flow.timer, flow.active + kTimeout);
    return;
  }
  remove(index, flow.answered ? policy::Outcome::kClosed : policy::Outcome::kTimedOut, turn);
}

void PingFlows::remove(std::uint32_t index, policy::Outcome outcome, Turn turn) {
  const Flow& flow = flows_.at(index);
  admission_.released(policy::FlowSide::kOutbound, flow.by);
  turn.out.push(ReportFlow{ended_flow(flow, outcome, turn.now)});
  turn.out.push(ClosePing{PingId{flows_.handle_of(index)}});
  table_.erase(flow.key, index);
  flows_.erase(flows_.handle_of(index));
}

void PingFlows::shut_down(Turn turn) {
  flows_.for_each([&](SlabHandle handle, const Flow& flow) {
    remove(handle.index, flow.answered ? policy::Outcome::kClosed : policy::Outcome::kOpen, turn);
  });
}

[[gnu::cold]] void PingFlows::judge_again(Turn turn) {
  flows_.for_each([&](SlabHandle handle, const Flow& flow) {
    if (admission_.accepts_still(policy::Protocol::kIcmp, flow.key.remote, flow.by, turn.now))
      return;
    cut_off(handle.index, policy::Verdict::kRevoked, turn);
  });
}

[[gnu::cold]] void PingFlows::cut_off(std::uint32_t index, policy::Verdict why, Turn turn) {
  flows_.at(index).verdict = admission_.refuse(why);
  remove(index, policy::Outcome::kCutOff, turn);
}

}  // namespace sluice::flow
