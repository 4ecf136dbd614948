#include "flow/udp/ping_flows.h"

#include "wire/checksum.h"
#include "wire/ip/icmp.h"
#include "wire/ip/icmpv6.h"

namespace sluice::flow {
namespace {

// Type, code, checksum, identifier, sequence number (RFC 792; RFC 4443, 4).
constexpr std::size_t kEchoHeader = 8;

struct EchoTypes {
  std::uint8_t request = 0;
  std::uint8_t reply = 0;
};

EchoTypes echo_types(wire::IpFamily family) {
  if (family == wire::IpFamily::kV4) {
    return {static_cast<std::uint8_t>(wire::IcmpType::kEchoRequest),
            static_cast<std::uint8_t>(wire::IcmpType::kEchoReply)};
  }
  return {static_cast<std::uint8_t>(wire::Icmpv6Type::kEchoRequest),
          static_cast<std::uint8_t>(wire::Icmpv6Type::kEchoReply)};
}

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
  if (flow.held != nullptr) [[unlikely]] {
    if (!flow.held->add(message, 0, packet.hop_limit)) {
      admission_.drops().count(DropReason::kUdpHeldFull);
    }
    return;
  }
  if (flow.metered.any() && !meter(index, flow.metered.meter->to_host(),
                                   message.size() - kEchoHeader, turn)) [[unlikely]] {
    if (flows_.find(flows_.handle_of(index)) == nullptr) {
      link_.send_error(IcmpErrorKind::kProhibited, packet, turn);
    }
    return;
  }
  flow.bytes_to_host += message.size() - kEchoHeader;
  send(index, message, packet.hop_limit, turn.out);
}

void PingFlows::send(std::uint32_t index, ByteView message, std::uint8_t hop_limit,
                     ActionSink& out) {
  const Flow& flow = flows_.at(index);
  if (flow.target.family() != flow.key.guest.address.family()) [[unlikely]] {
    // Type and code are all that differs; the host's kernel puts in the checksum.
    std::vector<std::uint8_t>& other = parting_.emplace_back(message.begin(), message.end());
    other[0] = echo_types(flow.target.family()).request;
    message = other;
  }
  out.push(SendPing{.socket = PingId{flows_.handle_of(index)},
                    .target = flow.target,
                    .message = message,
                    .hop_limit = hop_limit});
}

std::uint32_t PingFlows::open(const FlowKey& key, const wire::IpPacketView& packet, Turn turn) {
  const Admitted admitted = admission_.judge(policy::Protocol::kIcmp, key.remote, turn.now);
  if (admitted.answer == Admitted::Answer::kAsked) [[unlikely]] {
    admission_.drops().count(DropReason::kPingAsked);
    turn.out.push(AskPolicy{.flow = {packet.protocol, {}}, .key = key, .by = admitted.by});
    return FlowTable::kNone;
  }
  if (admitted.answer != Admitted::Answer::kAllowed) {
    link_.send_error(IcmpErrorKind::kProhibited, packet, turn);
    turn.out.push(ReportFlow{refused_flow(key, admitted.verdict, admitted.by, turn.now)});
    return FlowTable::kNone;
  }
  const PingId id{flows_.emplace(key)};
  Flow& flow = flows_.at(id.index);
  flow.by = admitted.by;
  flow.metered = admitted.metered;
  flow.target = key.remote.address;
  flow.opened = turn.now;
  flow.active = turn.now;
  flow.timer.set_owner((std::uint64_t{timer_kind_} << 32) | id.index);
  timers_.arm(flow.timer, turn.now + kTimeout);
  table_.insert(key, id.index);
  if (flow.by.source == NameSource::kSynthetic) [[unlikely]] {
    flow.held = std::make_unique<HeldDatagrams>();
    turn.out.push(FindTarget{.flow = {packet.protocol, id}, .key = key, .by = flow.by});
    return id.index;
  }
  turn.out.tell_opening(flow);
  turn.out.push(OpenPing{id, packet.family});
  return id.index;
}

[[gnu::cold]] void PingFlows::on_verdict(const FlowKey& key, const NamedBy& by,
                                         policy::Verdict verdict, Turn turn) {
  if (verdict == policy::Verdict::kAccepted) return;  // The next one finds a rule, or asks.
  (void)admission_.refuse(verdict);
  link_.send_error({.kind = IcmpErrorKind::kProhibited},
                   {.protocol = key.protocol, .guest = key.guest, .remote = key.remote}, turn);
  turn.out.push(ReportFlow{refused_flow(key, verdict, by, turn.now)});
}

void PingFlows::on_reply(PingId socket, const wire::IpAddress& from, MutableBytes message,
                         Turn turn) {
  Flow* flow = flows_.find(socket);
  if (flow == nullptr || message.size() < kEchoHeader) return;
  if (flow->held != nullptr || from != flow->target) {
    admission_.drops().count(DropReason::kIcmpIgnored);
    return;
  }
  if (flow->metered.any() && !meter(socket.index, flow->metered.meter->from_host(),
                                    message.size() - kEchoHeader, turn)) [[unlikely]] {
    return;
  }
  flow->active = turn.now;
  flow->answered = true;
  flow->bytes_to_guest += message.size() - kEchoHeader;
  const auto header = message.first<kEchoHeader>();
  const wire::IpAddress& remote = flow->key.remote.address;
  header[0] = echo_types(remote.family()).reply;
  rewrite_identifier(header, flow->key.guest.port.value);
  // ICMPv6 covers the pseudo-header too (RFC 4443, 2.3).
  const std::uint32_t sum =
      remote.is_v4()
          ? 0
          : wire::pseudo_header_sum(remote, flow->key.guest.address, wire::IpProtocol::kIcmpv6,
                                    static_cast<std::uint32_t>(message.size()));
  put16<2>(header, wire::checksum_finish(wire::checksum_add(sum, message)));
  link_.send_icmp(remote, flow->key.guest.address, message, 64, turn.out);
}

[[gnu::cold]] void PingFlows::on_found(SlabHandle handle, const FoundTarget& found, Turn turn) {
  Flow* flow = flows_.find(handle);
  if (flow == nullptr || flow->held == nullptr) return;
  if (found.targets.empty()) {
    const bool refused = found.verdict != policy::Verdict::kAccepted;
    if (refused) flow->verdict = admission_.refuse(found.verdict);
    const auto& held = flow->held->batches();
    link_.send_error(
        {.kind = refused ? IcmpErrorKind::kProhibited : IcmpErrorKind::kHostUnreachable},
        {.protocol = flow->key.protocol,
         .guest = flow->key.guest,
         .remote = {flow->key.remote.address,
                    {held.empty() ? std::uint16_t{0}
                                  : be16<6>(ByteView(held.front().bytes).first<kEchoHeader>())}}},
        turn);
    remove(handle.index, refused ? policy::Outcome::kNotAccepted : policy::Outcome::kUnreachable,
           turn);
    return;
  }
  flow->target = found.targets.front().address;
  const std::unique_ptr<HeldDatagrams> held = std::move(flow->held);
  const PingId socket{handle};
  turn.out.tell_opening(*flow);
  turn.out.push(OpenPing{socket, flow->target.family()});
  for (const HeldDatagrams::Batch& batch : held->batches()) {
    if (flow->metered.any() && !meter(handle.index, flow->metered.meter->to_host(),
                                      batch.bytes.size() - kEchoHeader, turn)) {
      if (flows_.find(handle) == nullptr) return;
      continue;
    }
    flow->bytes_to_host += batch.bytes.size() - kEchoHeader;
    const ByteView message = parting_.emplace_back(batch.bytes);
    send(handle.index, message, batch.hop_limit, turn.out);
  }
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
  admission_.released(policy::FlowSide::kOutbound, flow.by, flow.metered);
  turn.out.push(ReportFlow{ended_flow(flow, outcome, turn.now)});
  if (flow.held == nullptr) turn.out.push(ClosePing{PingId{flows_.handle_of(index)}});
  table_.erase(flow.key, index);
  flows_.erase(flows_.handle_of(index));
}

void PingFlows::shut_down(Turn turn) {
  flows_.for_each([&](SlabHandle handle, const Flow& flow) {
    remove(handle.index, flow.answered ? policy::Outcome::kClosed : policy::Outcome::kOpen, turn);
  });
}

[[gnu::cold]] bool PingFlows::meter(std::uint32_t index, policy::Lane& lane, std::size_t bytes,
                                    Turn turn) {
  switch (lane.pass(bytes, turn.now)) {
    case policy::Lane::Pass::kPasses: return true;
    case policy::Lane::Pass::kOverRate:
      admission_.drops().count(DropReason::kOverRate);
      return false;
    case policy::Lane::Pass::kUsedUp: break;
  }
  flows_.at(index).metered.meter->note_ended();
  cut_off(index, policy::Verdict::kQuota, turn);
  return false;
}

[[gnu::cold]] void PingFlows::judge_again(Turn turn) {
  flows_.for_each([&](SlabHandle handle, Flow& flow) {
    if (!admission_.accepts_still(policy::Protocol::kIcmp, flow.key.remote, flow.by, turn.now) ||
        !admission_.accepts_target(policy::Protocol::kIcmp, flow.by, flow.leads_to())) {
      cut_off(handle.index, policy::Verdict::kRevoked, turn);
    } else if (!admission_.move_to_meter(flow.metered, admission_.meters().of(flow.by.rule))) {
      flow.metered.meter->note_ended();
      cut_off(handle.index, policy::Verdict::kQuota, turn);
    }
  });
}

[[gnu::cold]] void PingFlows::cut_off(std::uint32_t index, policy::Verdict why, Turn turn) {
  flows_.at(index).verdict = admission_.refuse(why);
  remove(index, policy::Outcome::kCutOff, turn);
}

}  // namespace sluice::flow
