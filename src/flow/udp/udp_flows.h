// UDP: one host socket for each endpoint of the guest (RFC 4787, REQ-1: endpoint-independent
// mapping), and under it one flow for each remote, which is what policy decides and reports show.
//
// Filtering is by address and port: only a remote that the guest wrote to may answer. A published
// port is a host socket that anybody may write to (udp_inbound.cc): each client, and each address
// of the host that it writes to, becomes a flow of its own. Senders may be forged, so a flow whose
// client did not speak again after an answer makes room for a newer one where the share of inbound
// flows is used up. What the guest sends from the endpoint of a published port to somebody who has
// no flow counts as theirs: most of it answers those that made room. Sans-IO; time is an argument.
//
// A flow that somebody is asked about (udp_ask.cc) has no socket until it is let through, and one
// to an address that stands for a name (udp_dial.cc) none until it is known where that leads. The
// latter's socket is its own: several names may lead to one address, and in the other family.
//
// Each endpoint of the guest takes a descriptor of the process. Where none is left, the one that
// was idle longest of those that asked a single question, answered or not, makes room.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>

#include "base/index_queue.h"
#include "base/slab.h"
#include "base/timer_wheel.h"
#include "flow/core/action.h"
#include "flow/core/flow_table.h"
#include "flow/core/flow_walk.h"
#include "flow/core/found_target.h"
#include "flow/ip/flow_context.h"
#include "flow/udp/guest_call.h"
#include "flow/udp/guest_calls.h"
#include "flow/udp/held_datagrams.h"
#include "flow/udp/udp_sockets.h"
#include "policy/loopback_use.h"
#include "policy/port_map.h"
#include "wire/ip/ip.h"
#include "wire/transport/udp.h"

namespace sluice::flow {

class UdpFlows {
 public:
  // RFC 4787, REQ-5 asks for two minutes at least once a session is answered; an unanswered one
  // is worth little.
  static constexpr Duration kUnanswered = std::chrono::seconds(30);
  static constexpr Duration kAnswered = std::chrono::seconds(180);

  explicit UdpFlows(const FlowContext& context);

  // `datagrams` is the payload: one datagram, or a batch of `segment_size` bytes each.
  void on_datagram(const wire::IpPacketView& packet, const wire::UdpView& header,
                   ByteView datagrams, std::uint16_t segment_size, Turn turn);
  // From the host, for the guest. `local` is the address it was sent to, for published ports;
  // `datagrams` one datagram, or a batch of `segment_size` bytes each.
  void on_received(UdpId socket, const wire::Endpoint& from,
                   const std::optional<wire::IpAddress>& local, ByteView datagrams,
                   std::uint16_t segment_size, Turn turn);
  // A program of the guest's wrote to a listener of ours at its loopback, which leads to the
  // host's.
  struct LoopbackClient {
    wire::Endpoint guest;
    wire::Endpoint target;
    std::uint32_t listener = 0;  // By whose number AnswerGuest names it.
  };
  void on_loopback_datagrams(const LoopbackClient& from, ByteView datagrams,
                             std::uint16_t segment_size, Turn turn);
  // Whether the driver can carry out an OpenGuestUdp, and when it is to. Never, to begin with. Nor
  // at ports of the guest's loopback that lead out: who waits there is one of us, and leads back.
  void set_call_guest(policy::LoopbackUse when, std::vector<policy::PortMap> lead_out = {}) {
    calls_.set(when, std::move(lead_out));
  }
  void set_lead_out(std::vector<policy::PortMap> ports) { calls_.set_lead_out(std::move(ports)); }
  // Whether this socket, of an OpenGuestUdp, is wanted still.
  [[nodiscard]] bool calls_guest(UdpId socket) const;
  // Answer an OpenGuestUdp. The latter also later: who waited there does so no longer.
  void on_guest_opened(UdpId socket, Turn turn);
  void on_guest_refused(UdpId socket, Turn turn);
  // The guest's kernel says that nobody waits at `guest` for what came from `remote`. False: that
  // changes nothing.
  bool on_guest_unreachable(const wire::Endpoint& guest, const wire::Endpoint& remote, Turn turn);
  // Answers a FindTarget.
  void on_found(SlabHandle handle, const FoundTarget& found, Turn turn);
  // Answers an AskPolicy.
  void on_verdict(SlabHandle handle, const Ruling& ruling, Turn turn);
  // The datagrams that were kept and let through are on their way.
  void end_burst() {
    if (!parting_.empty()) [[unlikely]]
      parting_.clear();
  }
  // OpenUdp could not be done: its flows are refused.
  void on_open_failed(UdpId socket, Turn turn);
  // The process has no descriptor left: ends the flow whose socket can best be spared, if any, and
  // says which. What follows in `out` is a CloseUdp of it, which the driver may do at once.
  [[nodiscard]] std::optional<UdpId> give_up_one(Turn turn);
  // A published port's socket, which the driver holds open until it is withdrawn.
  [[nodiscard]] UdpId publish(const wire::Endpoint& guest) { return sockets_.publish(guest); }
  // It takes no new clients; with its last flow, or at once, it is closed.
  void withdraw(UdpId socket, Turn turn);

  // Whether the guest's datagram belongs to a flow that exists.
  [[nodiscard]] bool knows(const wire::Endpoint& guest, const wire::Endpoint& remote) const {
    return index_of({guest, remote, wire::IpProtocol::kUdp}) != FlowTable::kNone;
  }

  // What an error from the host's side is about: the datagram as the guest sent it.
  struct Origin {
    wire::Endpoint guest;
    wire::Endpoint remote;
  };
  [[nodiscard]] std::optional<Origin> origin_of(UdpId socket, const wire::Endpoint& target) const;

  void on_timer(std::uint32_t index, Turn turn);
  void shut_down(Turn turn);
  // The policy is another: ends each flow that it lets through no longer.
  void judge_again(Turn turn);
  // Ends the flow at a place of walk().
  void cut_off(std::uint32_t index, policy::Verdict why, Turn turn);
  [[nodiscard]] std::size_t size() const { return flows_.size(); }
  // See flow_walk.h.
  template <typename Visit>
  [[nodiscard]] std::uint32_t walk(std::uint32_t from, const Visit& visit) const {
    return walk_flows(flows_, from, visit);
  }
  [[nodiscard]] std::size_t socket_count() const { return sockets_.size(); }

 private:
  // What tells the clients of published ports apart on the host's side.
  struct ClientKey {
    UdpId socket;
    wire::IpAddress local;  // The host's address that was written to; :: if it is not known.
    wire::Endpoint client;
    friend bool operator==(const ClientKey&, const ClientKey&) = default;
    [[nodiscard]] std::uint64_t hash(const HashSecret& secret) const {
      const FlowKey rest{{local, {}}, client, wire::IpProtocol::kUdp};
      return rest.hash(secret) ^ (socket.index * 0x9e37'79b9'7f4a'7c15U);
    }
  };
  using ClientTable = IndexTable<ClientKey, HashSecret, 16>;
  // Whether an inbound flow may make room for another, and which goes first.
  enum class Standing : std::uint8_t {
    kUnanswered,   // These go first,
    kUnconfirmed,  // then those whose client has not spoken since it was answered.
    kConfirmed,    // It stays, as do all outbound flows,
    kAskedOnce,    // but those of one datagram of the guest's when descriptors are used up.
    kAsked,        // It waits for a verdict, without a socket,
    kSought,       // or to know where its name leads.
  };
  struct Flow {
    explicit Flow(const FlowKey& flow_key) : key(flow_key) {}
    FlowKey key;
    wire::Endpoint target;
    std::optional<wire::IpAddress> local;
    UdpId socket;
    bool inbound = false;
    // No frame is of it: the guest wrote to a listener of ours, or a server at its loopback
    // answers.
    bool by_loopback = false;
    std::uint32_t listener = 0;  // The one that it wrote to last.
    bool told = false;           // Somebody was told that it begins.
    bool answered = false;
    policy::FlowSide side = policy::FlowSide::kOutbound;
    Standing standing = Standing::kConfirmed;
    policy::Verdict verdict = policy::Verdict::kAccepted;
    std::unique_ptr<HeldDatagrams> held;  // In kAsked and kSought.
    std::unique_ptr<GuestCall> call;      // Of a client of the host's loopback.
    IndexLink place;                      // In the queue of its standing.
    NamedBy by{};
    Metered metered{};
    TimerNode timer;
    Instant opened{};
    Instant active{};
    std::uint64_t bytes_to_host = 0;
    std::uint64_t bytes_to_guest = 0;

    // The guest wrote to an address that stands for a name.
    [[nodiscard]] bool by_name() const { return by.source == NameSource::kSynthetic; }
    [[nodiscard]] std::optional<wire::Endpoint> leads_to() const {
      if (!by_name() || !socket.valid()) [[likely]]
        return std::nullopt;
      return target;
    }
  };

  [[nodiscard, gnu::always_inline]] std::uint32_t index_of(const FlowKey& key) const {
    return flow_table_.find(
        key, [this](std::uint32_t index) -> const FlowKey& { return flows_.at(index).key; });
  }
  [[nodiscard]] std::uint32_t open(const FlowKey& key, const wire::IpPacketView& packet, Turn turn);
  [[nodiscard]] std::uint32_t flow_of_client(const ClientKey& client, Turn turn);
  [[nodiscard]] std::uint32_t open_inbound(const ClientKey& client, FlowKey key, Turn turn);
  [[nodiscard]] static ClientKey client_key(const Flow& flow) {
    return {flow.socket, flow.local.value_or(wire::IpAddress{}), flow.target};
  }
  [[nodiscard]] FlowId id_of(std::uint32_t index) const {
    return {wire::IpProtocol::kUdp, flows_.handle_of(index)};
  }
  // udp_dial.cc
  [[nodiscard]] std::uint32_t begin_finding(const FlowKey& key, const NamedBy& by, Turn turn);
  void find_target(std::uint32_t index, Turn turn);

  // udp_ask.cc
  [[nodiscard]] std::uint32_t begin_asking(const FlowKey& key, const wire::Endpoint& target,
                                           const NamedBy& by, Turn turn);
  void judge_waiting(std::uint32_t index, Turn turn);
  void let_through(std::uint32_t index, Turn turn);
  void send_held(std::uint32_t index, Turn turn);
  void refuse(std::uint32_t index, policy::Verdict verdict, Turn turn);

  // udp_inbound.cc
  void set_standing(std::uint32_t index, Standing standing);
  [[nodiscard]] bool make_room(Turn turn);
  [[nodiscard]] std::uint32_t create(const FlowKey& key, const wire::Endpoint& target, UdpId socket,
                                     Instant now);
  [[nodiscard]] UdpId socket_for(const wire::Endpoint& guest, ActionSink& out);
  void remove(std::uint32_t index, policy::Outcome outcome, Turn turn);

  // udp_call.cc
  void lead_on(std::uint32_t index, Turn turn);
  void lead_others_on(wire::Port port, Turn turn);
  // What a client wrote, to where it is led now.
  void call_guest(std::uint32_t index, const UdpBatch& batch, Turn turn);
  void answer_client(std::uint32_t index, const UdpBatch& batch, Turn turn);

  // What the guest's side says, once its flow stands.
  void send_to_host(std::uint32_t index, const UdpBatch& batch, std::uint8_t hop_limit, Turn turn);

  // udp_limit.cc
  void end_used_up(std::uint32_t index, ByteView datagram, Turn turn);
  // Of what moves either way: how many bytes from the front may go on; nothing: none. Where a quota
  // ends the flow, it is gone.
  [[nodiscard]] std::optional<std::size_t> meter(std::uint32_t index, policy::Lane& lane,
                                                 const UdpBatch& batch, Turn turn);

  GuestLink& link_;
  FlowAdmission& admission_;
  const TargetMap& targets_;
  TimerWheel& timers_;
  std::uint32_t timer_kind_;
  Slab<Flow> flows_;
  UdpSockets sockets_;
  FlowTable flow_table_;
  ClientTable client_table_;
  std::vector<std::unique_ptr<HeldDatagrams>> parting_;  // Let through; actions borrow them.
  IndexQueue unanswered_;
  IndexQueue unconfirmed_;
  IndexQueue asked_once_;
  GuestCalls calls_{sockets_};
};

}  // namespace sluice::flow
