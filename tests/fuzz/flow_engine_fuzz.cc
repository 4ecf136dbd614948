// Hostile frames and host events in any order: the engine stays within its limits, speaks only of
// flows that it has announced and not closed, and asks for nothing that the driver cannot do.
//
// Input, again and again: kind, pick, then what the kind needs. A frame is either raw bytes with an
// offload header, or a TCP segment near the window of a live flow, so that mutations get deep. The
// upper half of its kind says where it is cut, if it is: what is behind that is no copy of ours.
#include <algorithm>
#include <array>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "flow/engine/engine.h"
#include "require.h"
#include "unit/flow/engine/cut_frame.h"
#include "wire/byte_cursor.h"

namespace {

using namespace sluice;

constexpr std::uint32_t kFlowsMax = 24;
constexpr std::size_t kPeekMax = 256 * 1024;

flow::EngineOptions options() {
  flow::EngineOptions all;
  all.limits = {.max_flows = kFlowsMax, .new_flows_per_second = 200};
  all.link = {.checksum = true, .tso = true, .uso = true};
  all.host_loopback = true;
  return all;
}

class Harness {
 public:
  Harness() : engine_(options(), {}, now_) {
    engine_.set_resolvers({{wire::IpAddress::v4(0xc000'0235), wire::Port{53}}});
  }

  void step(wire::ByteReader& input) {
    const std::uint8_t kind = input.u8();
    const std::uint8_t pick = input.u8();
    cut_ = kind >> 4;
    switch (kind % 16) {
      case 0: raw_frame(input); break;
      case 1:
      case 2:
      case 3: segment(pick, input); break;
      case 4:
        end_burst((kind & 0x80) != 0 ? flow::BurstEnd::kMoreFollows : flow::BurstEnd::kDrained);
        break;
      case 5: host_connect(pick, input.u8()); break;
      case 6:
        end_burst(flow::BurstEnd::kDrained);
        engine_.tcp().on_readable(tcp_id(pick), (kind & 0x80) != 0, {now_, sink_});
        break;
      case 7:
        engine_.tcp().on_host_error(tcp_id(pick),
                                    flow::HostError{static_cast<std::uint8_t>(input.u8() % 9)},
                                    {now_, sink_});
        break;
      case 8: advance(std::chrono::milliseconds(1) * (std::int64_t{1} << (pick % 20))); break;
      case 9: inbound(pick); break;
      case 10: udp_received(pick, input); break;
      case 11: ping_reply(pick, input); break;
      case 12: dns_answer(pick, input); break;
      case 13: {
        end_burst(flow::BurstEnd::kDrained);
        const std::uint32_t room = input.u16();
        Socket* socket = find(tcp_id(pick));
        if (socket == nullptr) break;
        socket->buffered -= std::min<std::uint32_t>(socket->buffered, room);
        engine_.tcp().on_room(tcp_id(pick), socket->buffered, room, {now_, sink_});
        break;
      }
      case 14:
        limp_ = input.u8();
        engine_.tcp().set_spill_free(std::size_t{pick} * 4096);
        break;
      case 15: hand_over_or_fail(kind >> 4, pick, input); break;
    }
    if (!in_burst_) settle();
  }

  void finish() {
    end_burst(flow::BurstEnd::kDrained);
    settle();
    if (limp_ % 2 == 0) {
      for (int i = 0; i < 30; ++i) advance(std::chrono::minutes(10));
      require(engine_.udp().size() == 0 && engine_.ping().size() == 0, "datagram flows end");
    }
    engine_.shut_down({now_, sink_});
    settle();
    require(questions_.empty(), "no question is left open");
    require(engine_.flow_count() == 0 && sockets_.empty() && udp_.empty() && pings_.empty(),
            "everything is closed at the end");
    require(names_.empty(), "every name that was handed over is released");
  }

 private:
  enum class Holder : std::uint8_t { kEngine, kNobody, kCarrier };
  struct Socket {
    flow::TcpId id;
    bool connected = false;
    std::uint32_t queued = 0;    // What a peek can see.
    std::uint32_t buffered = 0;  // The spill.
    std::uint64_t offset = 0;    // Of the guest's stream.
    Holder holder = Holder::kEngine;
    bool calling = false;      // The guest, at its loopback.
    bool by_loopback = false;  // Never the link's.
    wire::TcpSnapshot snapshot{};
    std::vector<std::vector<std::uint8_t>> kept{};  // Packets that wait for the answer.
  };

  struct Question {
    flow::FlowId flow{};
    flow::AskStage stage{};
  };
  static std::pair<int, std::uint64_t> question_key(const flow::FlowId& id) {
    return {static_cast<int>(id.protocol), key(id.handle)};
  }
  static std::uint64_t key(const SlabHandle& id) {
    return (std::uint64_t{id.generation} << 32) | id.index;
  }
  Socket* find(flow::TcpId id) {
    const auto at = sockets_.find(key(id));
    return at == sockets_.end() ? nullptr : &at->second;
  }
  // A live flow; now and then one that is gone.
  flow::TcpId tcp_id(std::uint8_t pick) {
    if (sockets_.empty() || pick == 0xff) return {SlabHandle{pick, 1}};
    auto at = sockets_.begin();
    std::advance(at, pick % sockets_.size());
    return at->second.id;
  }

  void feed(std::vector<std::uint8_t> frame, const wire::VirtioNetHeader& offload) {
    if (!in_burst_) settle();
    in_burst_ = true;
    // In a block of its own, so that a read behind the end shows.
    frame.shrink_to_fit();
    burst_.push_back(std::move(frame));
    if (cut_ == 0 || burst_.back().size() < 16) {
      engine_.on_frame(burst_.back(), offload, {now_, sink_});
    } else {
      // The end of all headers is near 60, and near 100 with options.
      const std::size_t size = burst_.back().size();
      const std::size_t head =
          cut_ < 8 ? size * cut_ / 16 : std::min<std::size_t>(size - 1, cut_ * 12U - 40U);
      pieces_.emplace_back(burst_.back(), head, size / cut_ + 1);
      engine_.on_frame(pieces_.back().as_it_came(offload), {now_, sink_});
    }
    if (burst_.size() >= 32) end_burst(flow::BurstEnd::kMoreFollows);
  }
  void end_burst(flow::BurstEnd end) {
    engine_.end_burst(end, {now_, sink_});
    in_burst_ = false;
    settle();
    burst_.clear();
    pieces_.clear();
  }

  void raw_frame(wire::ByteReader& input) {
    wire::VirtioNetHeader offload;
    offload.flags = input.u8();
    offload.gso_type = input.u8();
    offload.gso_size = input.u16();
    const ByteView taken = input.take(std::min<std::size_t>(input.u16(), input.rest().size()));
    feed({taken.begin(), taken.end()}, offload);
  }

  void segment(std::uint8_t pick, wire::ByteReader& input) {
    const std::uint8_t flags = input.u8();
    const auto sequence = static_cast<std::int16_t>(input.u16());
    const auto acknowledgment = static_cast<std::int16_t>(input.u16());
    const std::uint16_t window = input.u16();
    const std::uint16_t length = input.u16();
    const ByteView extra = input.take(std::min<std::size_t>(input.u8() % 41, input.rest().size()));
    const bool v4 = (pick & 0x40) == 0;
    const wire::Endpoint guest{v4 ? engine_.network().guest_v4 : engine_.network().guest_v6,
                               wire::Port{static_cast<std::uint16_t>(1000 + pick % 8)}};
    wire::Endpoint remote{v4 ? wire::IpAddress::v4(0xc633'6407) : kRemote6,
                          wire::Port{static_cast<std::uint16_t>((pick & 0x80) != 0 ? 9 : 80)}};
    if ((pick & 0xb0) == 0xb0) {
      remote = {v4 ? engine_.network().dns_v4 : engine_.network().dns_v6, wire::Port{53}};
    }
    wire::SeqNum base{5000};
    wire::SeqNum ack{};
    const flow::TcpFlow* flow = engine_.tcp().find({guest, remote, wire::IpProtocol::kTcp});
    if (flow != nullptr) {
      if (const auto* gated = std::get_if<flow::Gated>(&flow->state)) {
        base = gated->relaying.rx.received;
        ack = gated->relaying.tx.sent;
      } else if (const auto* state = std::get_if<flow::Relaying>(&flow->state)) {
        base = state->rx.received;
        ack = state->tx.sent;
      } else if (const auto* refused = std::get_if<flow::Refused>(&flow->state)) {
        base = refused->guest_next;
        ack = refused->acked;
      } else if (const auto* accepted = std::get_if<flow::SynAckSent>(&flow->state)) {
        base = accepted->guest_next;
        ack = accepted->our_isn + 1;
      } else if (const auto* called = std::get_if<flow::SynSent>(&flow->state)) {
        ack = called->our_isn + 1;
      }
    }
    const std::size_t ip_size = v4 ? 20 : 40;
    const std::size_t options = (extra.size() + 3) / 4 * 4;
    const std::size_t header = 14 + ip_size + 20 + options;
    std::vector<std::uint8_t> frame(header + length % 60'000U, 0x33);
    const MutableBytes all(frame);
    const std::size_t ip_payload = frame.size() - 14 - ip_size;
    wire::emit_ethernet(all.first<14>(), engine_.network().gateway_mac, engine_.network().guest_mac,
                        v4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6);
    if (v4) {
      wire::Ipv4Repr{.source = guest.address,
                     .destination = remote.address,
                     .protocol = wire::IpProtocol::kTcp,
                     .payload_length = static_cast<std::uint16_t>(ip_payload)}
          .emit(all.subspan(14).first<20>());
    } else {
      wire::Ipv6Repr{.source = guest.address,
                     .destination = remote.address,
                     .next_header = wire::IpProtocol::kTcp,
                     .payload_length = static_cast<std::uint16_t>(ip_payload)}
          .emit(all.subspan(14).first<40>());
    }
    wire::TcpRepr{.source_port = guest.port,
                  .destination_port = remote.port,
                  .sequence = base + static_cast<std::uint32_t>(sequence),
                  .acknowledgment = ack + static_cast<std::uint32_t>(acknowledgment),
                  .flags = {flags},
                  .window = window,
                  .options = {}}
        .emit(all.subspan(14 + ip_size, 20));
    frame[14 + ip_size + 12] = static_cast<std::uint8_t>((20 + options) / 4 << 4);
    std::ranges::fill(all.subspan(header - options, options), std::uint8_t{0});
    std::ranges::copy(extra, frame.begin() + static_cast<std::ptrdiff_t>(header - options));
    wire::VirtioNetHeader offload;
    offload.flags = wire::VirtioNetHeader::kNeedsCsum;
    feed(std::move(frame), offload);
  }

  void host_connect(std::uint8_t pick, std::uint8_t how) {
    const flow::TcpId id = tcp_id(pick);
    Socket* socket = find(id);
    if (socket != nullptr && socket->connected) return;  // A kernel answers once.
    if (how < 200) {
      if (socket != nullptr) socket->connected = true;
      engine_.tcp().on_connected(id, std::uint32_t{how} * 512, {now_, sink_});
    } else {
      engine_.tcp().on_connect_failed(id, flow::HostError{static_cast<std::uint8_t>(how % 8)},
                                      {now_, sink_});
    }
  }

  void inbound(std::uint8_t pick) {
    const bool near = (pick & 0x10) != 0;
    const auto id = engine_.tcp().on_inbound(
        {wire::IpAddress::v4((near ? 0x7f00'0001U : 0xc000'0200U) + pick % 4), wire::Port{9}},
        {engine_.network().guest_v4, wire::Port{static_cast<std::uint16_t>(1000 + pick % 8)}},
        65'536, {now_, sink_});
    if (id) {
      require(sockets_.emplace(key(*id), Socket{.id = *id, .connected = true}).second,
              "an id is given once");
    }
    if (published_.index == SlabHandle{}.index) {
      published_ = engine_.udp().publish({engine_.network().guest_v4, wire::Port{53}});
    }
  }

  void udp_received(std::uint8_t pick, wire::ByteReader& input) {
    end_burst(flow::BurstEnd::kDrained);
    flow::UdpId id = published_;
    if (!udp_.empty() && (pick & 1) != 0) {
      auto at = udp_.begin();
      std::advance(at, pick % udp_.size());
      id = at->second;
    }
    wire::Endpoint from = last_target_;
    if ((pick & 2) != 0) from.port.value = pick;
    if ((pick & 8) != 0) from.address = wire::IpAddress::v4(0x7f00'0001U + pick % 2);
    const std::uint16_t segment = input.u16();
    const std::size_t length = input.u16();
    engine_.udp().on_received(id, from, std::nullopt, ByteView(kHostBytes).first(length), segment,
                              {now_, sink_});
    if ((pick & 4) != 0) {
      engine_.on_udp_error(id, last_target_, {.kind = flow::IcmpErrorKind::kPortUnreachable},
                           ByteView(kHostBytes).first(length % 600), {now_, sink_});
    }
  }

  void ping_reply(std::uint8_t pick, wire::ByteReader& input) {
    end_burst(flow::BurstEnd::kDrained);
    if (pings_.empty()) return;
    auto at = pings_.begin();
    std::advance(at, pick % pings_.size());
    std::vector<std::uint8_t> message(input.u16() % 3000U, 1);
    engine_.ping().on_reply(at->second, last_ping_, message, {now_, sink_});
    engine_.on_ping_error(at->second, {.kind = flow::IcmpErrorKind::kTimeExceeded}, message,
                          {now_, sink_});
  }

  void dns_answer(std::uint8_t pick, wire::ByteReader& input) {
    const ByteView taken = input.take(std::min<std::size_t>(input.u16(), input.rest().size()));
    std::vector<std::uint8_t> message(taken.begin(), taken.end());
    if (message.empty() && !queries_.empty()) message = queries_.back();
    if (message.size() > 2) message[2] |= 0x80;
    if (pick % 5 == 0) {
      engine_.on_dns_error({pick % 4U}, {now_, sink_});
    } else {
      engine_.on_dns_answer(
          {pick % 4U},
          pick % 5 == 1 ? flow::Engine::DnsTransport::kTcp : flow::Engine::DnsTransport::kUdp,
          message, {now_, sink_});
    }
  }

  void failures(std::uint8_t pick) {
    end_burst(flow::BurstEnd::kDrained);
    if ((pick & 1) != 0 && !udp_.empty()) {
      engine_.udp().on_open_failed(udp_.begin()->second, {now_, sink_});
    } else if (!pings_.empty()) {
      engine_.ping().on_open_failed(pings_.begin()->second, (pick & 2) != 0, {now_, sink_});
    }
  }

  void hand_over_or_fail(unsigned what, std::uint8_t pick, wire::ByteReader& input) {
    end_burst(flow::BurstEnd::kDrained);
    const flow::TcpId id = tcp_id(pick);
    switch (what) {
      case 1:
      case 2:
        hand_over_ = flow::HandOverWhen{static_cast<std::uint8_t>(pick % 3)};
        engine_.tcp().set_hand_over(hand_over_);
        break;
      case 3:
      case 4: hand_over_succeeds(id); break;
      case 5: hand_over_fails(id); break;
      case 6: {
        // More than it was; a carrier's counts never go back.
        carried_ += input.u16();
        engine_.tcp().on_carried(id, carried_, carried_ / 2, now_);
        break;
      }
      case 7: carried_to_end(id, input.u8()); break;
      case 8: verdict(pick, input.u8()); break;
      case 9:
        engine_.set_ask({.tcp = (pick & 1) != 0,
                         .udp = (pick & 2) != 0,
                         .gate = (pick & 4) != 0 ? flow::Gate::kFirstBytes : flow::Gate::kOpen,
                         .flows_max = std::size_t{pick} >> 4U});
        if ((pick & 8) != 0) engine_.set_claim_judge(&judge_);
        break;
      case 10:
        engine_.tcp().set_call_guest(policy::LoopbackUse{static_cast<std::uint8_t>(pick % 3)});
        engine_.udp().set_call_guest(policy::LoopbackUse{static_cast<std::uint8_t>(pick % 3)});
        break;
      case 11: guest_answers(id, (pick & 1) != 0); break;
      case 12: loopback_client(pick); break;
      case 13:
        engine_.udp().on_loopback_datagrams(
            {.guest = {wire::IpAddress::loopback(wire::IpFamily::kV4), wire::Port{pick}},
             .target = {wire::IpAddress::loopback(wire::IpFamily::kV4), wire::Port{53}},
             .listener = pick},
            ByteView(kHostBytes).first(pick + 1U), pick % 7, {now_, sink_});
        break;
      default: failures(pick); break;
    }
  }

  // A program of the guest's that called a listener of ours.
  void loopback_client(std::uint8_t pick) {
    const auto id = engine_.tcp().on_loopback_client(
        {wire::IpAddress::loopback(wire::IpFamily::kV4), wire::Port{pick}},
        {wire::IpAddress::loopback(wire::IpFamily::kV4), wire::Port{80}}, {now_, sink_});
    settle();
    if (!id) return;
    Socket* socket = find(*id);
    require(socket != nullptr && !socket->connected, "the host is asked for the connection");
    socket->by_loopback = true;
  }

  // Where it was called; it answers once.
  void guest_answers(flow::TcpId id, bool accepts) {
    Socket* socket = find(id);
    if (socket == nullptr || !std::exchange(socket->calling, false)) return;
    socket->by_loopback = accepts;
    if (accepts) {
      engine_.tcp().on_guest_answered(id, {now_, sink_});
    } else {
      engine_.tcp().on_guest_refused(id, {now_, sink_});
    }
  }

  // To a question that is open, or to none.
  void verdict(std::uint8_t pick, std::uint8_t how) {
    flow::FlowId id{wire::IpProtocol::kTcp, tcp_id(pick)};
    flow::Ruling ruling{
        .stage = (how & 1) != 0 ? flow::AskStage::kFirstBytes : flow::AskStage::kNewFlow,
        .gate = (how & 2) != 0 ? flow::Gate::kFirstBytes : flow::Gate::kOpen};
    if (!questions_.empty() && (how & 4) == 0) {
      auto at = questions_.begin();
      std::advance(at, pick % questions_.size());
      id = at->second.flow;
      ruling.stage = at->second.stage;
    }
    const auto open = questions_.find(question_key(id));
    if (open != questions_.end() && open->second.stage == ruling.stage) questions_.erase(open);
    if ((how & 8) != 0) ruling.verdict = policy::Verdict::kAskRefused;
    engine_.on_verdict(id, ruling, {now_, sink_});
  }

  // Of any flow, asked for or not: the driver may be late.
  void hand_over_succeeds(flow::TcpId id) {
    Socket* socket = find(id);
    const bool waited_for = socket != nullptr && socket->holder == Holder::kNobody;
    engine_.tcp().on_handed_over(id, {now_, sink_});
    if (!waited_for) return;
    socket->holder = Holder::kCarrier;
    socket->kept.clear();
    require(names_.insert(name_of(socket->snapshot.peer, socket->snapshot.local)).second,
            "a name is handed over when it is free");
  }

  void hand_over_fails(flow::TcpId id) {
    Socket* socket = find(id);
    engine_.tcp().on_hand_over_failed(id, {now_, sink_});
    if (socket == nullptr || socket->holder != Holder::kNobody) return;
    socket->holder = Holder::kEngine;
    for (auto& packet : socket->kept) {
      engine_.on_returned(returned_.emplace_back(std::move(packet)), {now_, sink_});
    }
    socket->kept.clear();
    end_burst(flow::BurstEnd::kDrained);
  }

  void carried_to_end(flow::TcpId id, std::uint8_t how) {
    const Socket* socket = find(id);
    const bool carried = socket != nullptr && socket->holder == Holder::kCarrier;
    if (carried) {
      sockets_.erase(key(id));
      note_gone(id);
    }
    constexpr std::array kOutcomes{policy::Outcome::kClosed, policy::Outcome::kResetByGuest,
                                   policy::Outcome::kResetByHost, policy::Outcome::kTimedOut};
    engine_.tcp().on_carried_to_end(id, kOutcomes.at(how % kOutcomes.size()), {now_, sink_});
  }

  void advance(Duration time) {
    end_burst(flow::BurstEnd::kDrained);
    now_ += time;
    for (int i = 0; i < 1000 && engine_.next_wakeup() <= now_; ++i) {
      engine_.on_timers({now_, sink_});
      settle();
      require(i < 999, "timers come to rest");
    }
  }

  void check_frames() {
    for (const wire::FrameOut& frame : sink_.frames()) {
      require(frame.header_length >= 14 && frame.payload.size() <= 65'535, "frames have headers");
    }
    sink_.frames().clear();
  }

  void settle() {
    if (in_burst_) return;
    for (int round = 0; round < 4; ++round) {
      auto& actions = sink_.actions();
      for (std::size_t done = 0; done < actions.size(); ++done) {
        require(done < 100'000, "the work of one event is bounded");
        const flow::Action action = actions[done];
        if (engine_.serve_own(action, {now_, sink_})) {
          check_frames();  // They borrow the connection's answers.
        } else {
          std::visit([this](const auto& one) { carry_out(one); }, action);
        }
      }
      for (const dns::DnsAction& action : engine_.dns_actions()) {
        if (const auto* open = std::get_if<dns::OpenDnsUdp>(&action)) {
          queries_.push_back(open->message);
        }
      }
      engine_.dns_actions().clear();
      sink_.clear_actions();
      check_frames();
      if (!engine_.has_deferred()) break;
      engine_.run_deferred({now_, sink_});
    }
    returned_.clear();
    require(engine_.limits().active() <= kFlowsMax, "no more flows than the limit");
    require(engine_.tcp().size() <= kFlowsMax + 4096, "the lingering are bounded");
  }

  void carry_out(const flow::ConnectTcp& action) {
    // DNS over TCP tries the next resolver under the same id.
    Socket& socket = sockets_[key(action.flow)];
    socket = Socket{.id = action.flow};
  }
  void carry_out(const flow::StashTcp& action) {
    require_held(action.flow);
    require(find(action.flow) != nullptr || gone(action.flow), "a stash is of a known flow");
    engine_.tcp().on_stashed(action.flow, action.bytes.size(), action.bytes.size());
  }
  void carry_out(const flow::WriteTcp& action) {
    require_held(action.flow);
    Socket* socket = find(action.flow);
    if (socket == nullptr) {
      require(gone(action.flow), "a write is of a known flow");
      return;
    }
    require(action.offset == socket->offset, "writes follow one another");
    require(action.until > action.offset, "a write has bytes");
    std::uint64_t chain = 0;
    for (std::uint32_t at = action.first_range; at != flow::kNoRange; at = sink_.range(at).next) {
      chain += sink_.range(at).bytes.size();
      for (const std::uint8_t byte : sink_.range(at).bytes)
        touched_ = static_cast<std::uint8_t>(touched_ ^ byte);
    }
    require(chain <= action.until - action.offset, "no more bytes than the range has");
    std::uint64_t taken = action.until - action.offset;
    std::uint32_t room = 65'536;
    if (limp_ % 4 == 1) {
      socket->buffered += static_cast<std::uint32_t>(taken);
      room = 0;
    } else if (limp_ % 4 == 2) {
      taken = std::min<std::uint64_t>(taken, limp_ * 16U);
    } else if (limp_ % 4 == 3 && taken > 3000) {
      engine_.tcp().on_host_error(action.flow, flow::HostError::kReset, {now_, sink_});
    }
    socket->offset += taken;
    engine_.tcp().on_written(action.flow, {taken, socket->buffered, room}, {now_, sink_});
  }
  void carry_out(const flow::PeekTcp& action) {
    require_held(action.flow);
    Socket* socket = find(action.flow);
    if (socket == nullptr) {
      require(gone(action.flow), "a peek is of a known flow");
      return;
    }
    require(action.max > 0, "a peek wants bytes");
    require(action.offset <= socket->queued, "a peek begins within the queue");
    const std::size_t max = std::min<std::size_t>(action.max, kPeekMax);
    if (socket->queued < 400'000) socket->queued += limp_ * 300U;
    const std::size_t count = std::min<std::size_t>(max, socket->queued - action.offset);
    const flow::PeekStatus status = count > 0        ? flow::PeekStatus::kData
                                    : limp_ % 3 == 0 ? flow::PeekStatus::kEndOfStream
                                                     : flow::PeekStatus::kWouldBlock;
    engine_.tcp().on_peeked(
        action.flow, {action.sequence, status, ByteView(kHostBytes).first(count), count == max},
        {now_, sink_});
    sink_.frames().clear();
  }
  void carry_out(const flow::DiscardTcp& action) {
    require_held(action.flow);
    Socket* socket = find(action.flow);
    if (socket == nullptr) return;
    require(action.bytes <= socket->queued, "only what was peeked is discarded");
    socket->queued -= action.bytes;
  }
  void carry_out(const flow::ShutdownTcp& action) {
    require_held(action.flow);
    require(find(action.flow) != nullptr || gone(action.flow), "a shutdown is of a known flow");
  }
  void carry_out(const flow::CloseTcp& action) {
    require(sockets_.erase(key(action.flow)) == 1, "a flow is closed once");
    note_gone(action.flow);
  }
  void carry_out(const flow::ProbeTcp& action) {
    require_held(action.flow);
    engine_.tcp().on_probed(action.flow, limp_ % 4 != 0, sink_);
  }
  void carry_out(const flow::HandOverTcp& action) {
    Socket* socket = find(action.flow);
    if (socket == nullptr) {
      require(gone(action.flow), "a hand-over is of a known flow");
      return;
    }
    require(hand_over_ != flow::HandOverWhen::kNever, "nobody is asked for without an agent");
    require(socket->holder == Holder::kEngine, "a flow is asked for once at a time");
    require(socket->buffered == 0, "nothing waits for the host");
    const wire::TcpSnapshot& snapshot = action.snapshot;
    require(snapshot.scaled || snapshot.receive_window <= 0xffff, "the window can be expressed");
    require(snapshot.receive_window <= 0xffffU << snapshot.receive_scale, "... at its scale");
    require(snapshot.segment_size > 0, "segments have bytes");
    socket->snapshot = snapshot;
    socket->holder = Holder::kNobody;
    if (limp_ % 8 == 7) hand_over_fails_at_once(*socket);
  }
  // The driver has no room for it.
  void hand_over_fails_at_once(Socket& socket) {
    socket.holder = Holder::kEngine;
    engine_.tcp().on_hand_over_failed(socket.id, {now_, sink_});
  }
  void carry_out(const flow::DivertTcp& action) {
    require(!action.packet.empty(), "a packet has bytes");
    for (const std::uint8_t byte : action.packet)
      touched_ = static_cast<std::uint8_t>(touched_ ^ byte);
    Socket* socket = find(action.flow);
    if (socket == nullptr) {
      require(gone(action.flow), "a packet is of a known flow");
      return;
    }
    require(socket->holder != Holder::kEngine, "a packet is of a flow that was asked for");
    if (socket->holder == Holder::kNobody && socket->kept.size() < 64) {
      socket->kept.emplace_back(action.packet.begin(), action.packet.end());
    }
  }
  void carry_out(const flow::ReleaseTcp& action) {
    require(names_.erase(name_of(action.guest, action.remote)) == 1, "a name is released once");
  }
  void carry_out(const flow::CallGuest& action) {
    require(action.server.address.is_loopback(), "only its loopback is called");
    Socket* socket = find(action.flow);
    if (socket == nullptr) {
      require(gone(action.flow), "a call is for a known flow");
      return;
    }
    require(!std::exchange(socket->calling, true), "a flow calls one at a time");
  }
  void carry_out(const flow::JoinTcp& action) {
    Socket* socket = find(action.flow);
    if (socket == nullptr) {
      require(gone(action.flow), "a flow is joined that is known");
      return;
    }
    require(socket->by_loopback && socket->connected && !socket->calling, "both sockets stand");
    require(std::exchange(socket->holder, Holder::kCarrier) == Holder::kEngine, "... and once");
    if (limp_ % 16 == 9) {
      engine_.tcp().on_socket_lost(action.flow, {now_, sink_});
    }
  }
  void carry_out(const flow::OpenUdp& action) {
    require(udp_.emplace(key(action.socket), action.socket).second, "a socket is opened once");
  }
  void carry_out(const flow::OpenGuestUdp& action) {
    require(action.server.address.is_loopback(), "only its loopback is called");
    require(udp_.emplace(key(action.socket), action.socket).second, "a socket is opened once");
    if (limp_ % 3 == 0) {
      engine_.udp().on_guest_opened(action.socket, {now_, sink_});
    } else if (limp_ % 3 == 1) {
      engine_.udp().on_guest_refused(action.socket, {now_, sink_});
    }
  }
  void carry_out(const flow::SendUdp& action) {
    require(udp_.contains(key(action.socket)) || action.socket == published_,
            "a datagram goes out of an open socket");
    for (const std::uint8_t byte : action.payload)
      touched_ = static_cast<std::uint8_t>(touched_ ^ byte);
    last_target_ = action.target;
  }
  void carry_out(const flow::CloseUdp& action) {
    require(udp_.erase(key(action.socket)) == 1, "a socket is closed once");
  }
  void carry_out(const flow::AnswerGuest& action) {
    require(action.target.address.is_loopback() && action.listener < 256, "as it was called");
    for (const std::uint8_t byte : action.payload)
      touched_ = static_cast<std::uint8_t>(touched_ ^ byte);
  }
  void carry_out(const flow::OpenPing& action) {
    require(pings_.emplace(key(action.socket), action.socket).second, "a socket is opened once");
  }
  void carry_out(const flow::SendPing& action) {
    require(pings_.contains(key(action.socket)), "a ping goes out of an open socket");
    for (const std::uint8_t byte : action.message)
      touched_ = static_cast<std::uint8_t>(touched_ ^ byte);
    last_ping_ = action.target;
  }
  void carry_out(const flow::ClosePing& action) {
    require(pings_.erase(key(action.socket)) == 1, "a socket is closed once");
  }
  void carry_out(const flow::AskPolicy& action) {
    for (const std::uint8_t byte : action.bytes)
      touched_ = static_cast<std::uint8_t>(touched_ ^ byte);
    require(action.bytes.size() <= flow::KeptBytes::kMax + flow::KeptBytes::kRounding,
            "what is kept is bounded");
    const flow::TcpId id{action.flow.handle};
    if (action.stage == flow::AskStage::kFirstBytes) {
      const Socket* socket = find(id);
      require(socket == nullptr || socket->offset == 0, "the host has nothing of what is judged");
    }
    questions_[question_key(action.flow)] = {action.flow, action.stage};
  }
  void carry_out(const flow::WithdrawAsk& action) { questions_.erase(question_key(action.flow)); }
  void carry_out(const flow::FindTarget&) { require(false, "the engine finds targets itself"); }
  void carry_out(const flow::ReportFlow&) {}

  void require_held(flow::TcpId id) {
    const Socket* socket = find(id);
    require(socket == nullptr || socket->holder == Holder::kEngine,
            "the engine leaves a socket alone that it asked to hand over");
  }
  static std::string name_of(const wire::Endpoint& guest, const wire::Endpoint& remote) {
    return wire::to_string(guest) + ' ' + wire::to_string(remote);
  }
  void note_gone(flow::TcpId id) {
    gone_.push_back(key(id));
    if (gone_.size() > 8192) gone_.erase(gone_.begin(), gone_.begin() + 2048);
  }
  // Closed while the action was on its way.
  bool gone(const SlabHandle& id) const { return std::ranges::find(gone_, key(id)) != gone_.end(); }

  // What hosts send. Made once: each input has a harness of its own.
  static inline const std::vector<std::uint8_t> kHostBytes =
      std::vector<std::uint8_t>(kPeekMax, 0x5a);
  static inline const wire::IpAddress kRemote6 = wire::parse_ip("2600::7").value();

  // Refuses by port.
  class Judge final : public flow::ClaimJudge {
   public:
    flow::Judged judge_claim(const flow::FlowKey& key, const flow::NamedBy& /*by*/,
                             const flow::Claim& /*claim*/, Instant /*now*/) override {
      return {.verdict = key.remote.port.value == 9 ? policy::Verdict::kNotTls
                                                    : policy::Verdict::kAccepted};
    }
    flow::RefusalWords words_of(const flow::FlowKey& /*key*/,
                                const flow::Judged& /*judged*/) override {
      return {};
    }
  };

  Instant now_{std::chrono::seconds{1000}};
  Judge judge_;
  flow::Engine engine_;
  flow::ActionSink sink_;
  std::vector<std::vector<std::uint8_t>> burst_;
  std::deque<flow::test::CutFrame> pieces_;  // Of the same burst.
  unsigned cut_ = 0;                         // Where the next frame is cut.
  bool in_burst_ = false;
  std::uint8_t limp_ = 0;  // How well the host does.
  flow::HandOverWhen hand_over_ = flow::HandOverWhen::kNever;
  std::uint64_t carried_ = 0;
  std::set<std::string> names_;                     // Of what was handed over.
  std::deque<std::vector<std::uint8_t>> returned_;  // Borrowed by actions.
  std::map<std::uint64_t, Socket> sockets_;
  std::map<std::uint64_t, flow::UdpId> udp_;
  std::map<std::uint64_t, flow::PingId> pings_;
  std::map<std::pair<int, std::uint64_t>, Question> questions_;
  std::vector<std::uint64_t> gone_;
  std::vector<std::vector<std::uint8_t>> queries_;
  flow::UdpId published_;
  wire::Endpoint last_target_;
  wire::IpAddress last_ping_;
  volatile std::uint8_t touched_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wire::ByteReader input(ByteView(data, size));
  Harness harness;
  while (!input.empty()) harness.step(input);
  harness.finish();
  return 0;
}
