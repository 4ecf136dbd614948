// The engine: takes the guest's frames and the host's events, and says what to do about them.
//
//   engine.on_frame(frame, {now, sink});   for each frame of a burst
//   engine.end_burst(end, {now, sink});
//   … the driver carries out sink.actions(), which may report back and add more …
//   engine.on_timers({now, sink});                  no later than engine.next_wakeup()
//
// It makes no system call, reads no clock and draws no randomness: time and seeds are arguments,
// so every run can be replayed. One thread; no globals.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/timer_wheel.h"
#include "dns/dns_names.h"
#include "dns/dns_relay.h"
#include "dns/names/name_book.h"
#include "flow/core/action.h"
#include "flow/core/flow_admission.h"
#include "flow/core/frame_owner.h"
#include "flow/core/refusal_book.h"
#include "flow/core/sight.h"
#include "flow/core/target_map.h"
#include "flow/engine/dns_streams.h"
#include "flow/engine/explained_flows.h"
#include "flow/engine/inside_pages.h"
#include "flow/engine/query_sight.h"
#include "flow/engine/target_finder.h"
#include "flow/ip/fragment_reassembly.h"
#include "flow/ip/guest_link.h"
#include "flow/judge/audit.h"
#include "flow/judge/dns_judge.h"
#include "flow/judge/judge.h"
#include "flow/tcp/tcp_flows.h"
#include "flow/udp/ping_flows.h"
#include "flow/udp/udp_flows.h"
#include "policy/egress/egress_policy.h"

namespace sluice::flow {

struct EngineOptions {
  GuestNetwork network{};
  wire::LinkFeatures link{};
  policy::Policy policy{};
  // By which names decide, in the place of `policy`; null: none. Not owned.
  const policy::EgressPolicy* egress = nullptr;
  bool audit = false;  // What `egress` refuses is let through and noted (flow/judge/audit.h).
  policy::LimitOptions limits{};
  std::uint32_t max_inbound_streams = 0;  // See policy/limits/guest_limits.h; zero is no bound.
  bool host_loopback = false;             // The gateway's address leads to the host's loopback.
  policy::HostAddresses host_addresses = policy::HostAddresses::kRefused;
  std::vector<wire::Prefix> nat64_prefixes{};  // Of the host's network: see policy/reach.h.
  TcpFlowsOptions tcp{};
  // Of several workers of the guest's: which of its frames come here, the limits of all of them,
  // which are asked in the place of `limits`, and the names that it asked any of them for. Not
  // owned; null: this one has them alone.
  FrameShare share{};
  policy::SharedLimits* shared_limits = nullptr;
  dns::NameBook* shared_names = nullptr;
  RefusalBook* shared_refusals = nullptr;  // The same of what was refused.
  // ... and the meters of all of them, which are bound to `egress`. By whoever sets another policy
  // they are bound to that first.
  const policy::MeterBook* shared_meters = nullptr;
};

// Secrets of this process, drawn once by whoever makes the engine.
struct EngineSeeds {
  HashSecret table;
  SipKey sequence;  // TCP initial sequence numbers.
  SipKey dns;       // DNS ids and the cache's keys.
};

class Engine {
 public:
  Engine(EngineOptions options, const EngineSeeds& seeds, Instant now);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // One Ethernet frame of the guest. What `out` gathers may borrow its bytes, those of its rest
  // included.
  void on_frame(const wire::FrameIn& frame, Turn turn) {
    if (frame.rest.empty()) [[likely]] {
      on_frame(frame.bytes, frame.offload, turn);
    } else {
      on_pieces(frame, turn);
    }
  }
  void on_frame(ByteView frame, const wire::VirtioNetHeader& offload, Turn turn);
  // After the last frame of a burst; the next frame begins another.
  void end_burst(BurstEnd end, Turn turn);

  // Never later than the first deadline; kNever when there is none.
  [[nodiscard]] Instant next_wakeup() const;
  void on_timers(Turn turn);
  // Work that was put off so that others had their turn: call run_deferred() without sleeping.
  [[nodiscard]] bool has_deferred() const { return tcp_.has_deferred(); }
  void run_deferred(Turn turn) { tcp_.run_deferred(turn); }

  // About which new flows somebody is asked from here on; about none to begin with.
  void set_ask(const AskOptions& ask) { admission_.set_ask(ask); }
  // Who judges what the guest sends first. Not owned; null, and to begin with: whoever is asked.
  void set_claim_judge(ClaimJudge* judge) { tcp_.set_claim_judge(judge); }
  // Answers an AskPolicy. The flow may have ended meanwhile: then nothing happens.
  void on_verdict(const FlowId& flow, const Ruling& ruling, Turn turn);
  // ... about an echo request, which is gone.
  void on_echo_verdict(const FlowKey& key, const NamedBy& by, policy::Verdict verdict, Turn turn) {
    ping_.on_verdict(key, by, verdict, turn);
  }

  // From here on policy is this one, which must stay until the next. Each flow that lives and was
  // judged when it began is judged again, once, and ends where it is refused.
  void set_policy(const policy::EgressPolicy& policy, Turn turn);
  // The flow of this number (flow_summary.h) ends, both sides reset. False where there is none.
  bool cut_off(std::uint64_t number, policy::Verdict why, Turn turn);
  // Flows that live, as they stand, `max` of them at most, behind what `out` has. From the place
  // `from` on, of which 0 is the first; returns where to go on, if there are more.
  std::optional<std::uint64_t> list_flows(std::uint64_t from, std::size_t max, Instant now,
                                          std::vector<FlowSummary>& out) const;
  // From here on policy is this one, which must stay until the next. Flows that live go on.
  void use_policy(const policy::EgressPolicy& policy);
  [[nodiscard]] Judge& judge() { return judge_; }
  // The rule that decided, or asks. Only with a policy of names and addresses.
  [[nodiscard]] const policy::EgressRule& rule_of(const NamedBy& by) const {
    return judge_.policy().rule(by.rule);
  }
  // What the guest may go by: a flow's name, while it or what it was learnt by is remembered.
  [[nodiscard]] std::optional<wire::DomainName> name_of(const NamedBy& by) const {
    return book_.name(by.name);
  }
  // What flows carry, against limits.
  [[nodiscard]] const policy::MeterTable& meters() const { return admission_.meters(); }
  // Questions that were refused, for whoever takes them out; see DnsJudge.
  [[nodiscard]] std::vector<RefusedQuery>& refused_queries() { return dns_judge_.refused(); }

  // Whether answers to questions and first bytes are told of in sight(). Refused questions are
  // always.
  void tell_sight(bool wanted);
  // For whoever takes it out.
  [[nodiscard]] Sight& sight() { return sight_; }

  // An error about what the guest sent, found out by the host: ICMP, or a send that failed.
  void on_udp_error(UdpId socket, const wire::Endpoint& target, IcmpError error, ByteView payload,
                    Turn turn);
  void on_ping_error(PingId socket, IcmpError error, ByteView message, Turn turn);

  // The host's resolvers, best first; may be called again when they change.
  void set_resolvers(const std::vector<wire::Endpoint>& resolvers,
                     dns::DnsUpstream upstream = dns::DnsUpstream::kUdpFirst);

  // What the link does for us, where that changes: a guest's driver negotiates it.
  void set_link_features(const wire::LinkFeatures& features) { link_.set_features(features); }
  // All addresses that the host has now; again whenever they change.
  void set_host_addresses(std::vector<wire::IpAddress> addresses) {
    admission_.reach().set_host_addresses(std::move(addresses));
  }
  // A translator's prefix that the host's network has told of.
  void add_nat64_prefix(const wire::Prefix& prefix) { admission_.reach().add_nat64_prefix(prefix); }
  // These, and those that answers of its DNS have told of.
  [[nodiscard]] std::span<const wire::Prefix> nat64_prefixes() const {
    return admission_.reach().nat64_prefixes();
  }

  // What other workers of the guest's want to know of it, and have found out.
  [[nodiscard]] GuestSeen guest_seen() const { return link_.seen(); }
  void merge_guest(const GuestSeen& news) { link_.merge(news); }
  [[nodiscard]] const FrameOwner& frame_owner() const { return options_.share.owner; }
  // Who has the flow of a client that called a published port, on_inbound()'s.
  [[nodiscard]] std::uint32_t owner_of_inbound(const wire::Endpoint& client,
                                               const wire::Endpoint& guest) const {
    return options_.share.owner.of_tcp(guest.port,
                                       {targets_.as_guest_sees(client.address), client.port});
  }
  // Packets that came in fragments and are other workers', each as a frame of its own. To be passed
  // on and cleared by whoever asks.
  [[nodiscard]] std::vector<std::vector<std::uint8_t>>& foreign_frames() { return foreign_frames_; }

  // sluice ends: every flow is closed and reported. Returns what TcpFlows::shut_down() does.
  std::vector<TcpFlows::GivenUp> shut_down(Turn turn);

  // A DivertTcp that could not be passed on: the packet, as it came. `out` may borrow its bytes; an
  // end_burst() follows the last of them.
  void on_returned(ByteView packet, Turn turn);

  // The host's events go to the protocol that asked for them.
  [[nodiscard]] TcpFlows& tcp() { return tcp_; }
  [[nodiscard]] UdpFlows& udp() { return udp_; }
  [[nodiscard]] PingFlows& ping() { return ping_; }

  // What came from a resolver. `slot` is that of the OpenDnsUdp or OpenDnsTcp.
  enum class DnsTransport : std::uint8_t { kUdp, kTcp };
  void on_dns_answer(dns::DnsSlot slot, DnsTransport transport, ByteView message, Turn turn);
  void on_dns_error(dns::DnsSlot slot, Turn turn);
  // Before the driver turns to a socket: whether the action is about a connection whose other end
  // is here, or about nobody but us, and was carried out. Frames may borrow our bytes: write them
  // out at once.
  [[nodiscard]] bool serve_own(const Action& action, Turn turn);
  // Sockets to open and close for DNS; the driver carries them out and clears the list. They own
  // their bytes and are rare, so they are kept out of the sink.
  [[nodiscard]] std::vector<dns::DnsAction>& dns_actions() { return dns_actions_; }

  [[nodiscard]] DropCounters& drops() { return admission_.drops(); }
  [[nodiscard]] const DropCounters& drops() const { return admission_.drops(); }
  [[nodiscard]] const GuestNetwork& network() const { return options_.network; }
  [[nodiscard]] const policy::GuestLimits& limits() const { return admission_.limits(); }
  // What the guest asked our DNS to learn this address; empty if it did not.
  [[nodiscard]] std::string_view name_of(const wire::IpAddress& address) {
    return names_.lookup(address);
  }
  // What was counted of names: of the guest's questions, of first bytes, and what is pinned now.
  [[nodiscard]] const dns::DnsCounters& dns_counters() const { return dns_.counters(); }
  [[nodiscard]] const GateCounters& gate_counters() const { return judge_.counters(); }
  [[nodiscard]] std::size_t pins() const { return book_.pins(); }
  [[nodiscard]] std::size_t flow_count() const { return tcp_.size() + udp_.size() + ping_.size(); }

 private:
  // Room for any frame that a service of ours answers with.
  static constexpr std::size_t kServiceFrameMax = 1514;

  enum class TimerKind : std::uint32_t { kTcp, kUdp, kPing };

  [[nodiscard]] FlowContext context(TimerKind kind, const EngineSeeds& seeds) {
    return {link_,       admission_,    targets_, timers_, static_cast<std::uint32_t>(kind),
            seeds.table, options_.share};
  }
  void begin_burst() {
    if (std::exchange(burst_open_, true)) return;
    reassembled_.clear();  // The actions that borrowed these were carried out.
  }
  // Of no machine: a group of them, or us.
  [[nodiscard]] bool is_impossible(const wire::MacAddress& sender) const {
    return sender.is_multicast() || sender == options_.network.gateway_mac;
  }
  void on_pieces(const wire::FrameIn& frame, Turn turn);
  void on_arp(ByteView payload, ActionSink& out);
  void on_packet(const wire::IpPacketView& packet, const wire::VirtioNetHeader& offload, Turn turn);
  void on_fragment(const wire::IpPacketView& packet, Turn turn);
  void dispatch(const wire::IpPacketView& packet, const wire::VirtioNetHeader& offload, Turn turn);
  // Of a packet whose checksum holds: one that was damaged on its way must teach us nothing.
  void note_source(const wire::IpPacketView& packet) {
    if (!link_.knows_guest_address(packet.family)) [[unlikely]]
      link_.learn_guest_address(packet.source);
  }
  void on_tcp(const wire::IpPacketView& packet, bool checked, Turn turn);
  // `beyond_us`: to one host, which is not us.
  void on_udp(const wire::IpPacketView& packet, const wire::VirtioNetHeader& offload,
              bool beyond_us, Turn turn);
  [[nodiscard]] bool leads_to_loopback(const wire::IpPacketView& packet,
                                       const wire::UdpView& udp) const;
  void on_udp_service(const wire::IpPacketView& packet, const wire::UdpView& udp, Turn turn);
  void on_dns_query(const dns::DnsClient& client, ByteView message, Turn turn);
  void settle_dns(Turn turn);
  void deliver_dns(Turn turn);
  void count_dns(dns::DnsQueryOutcome outcome);
  void learn_nat64(const wire::DnsView& answer);
  void on_icmp(const wire::IpPacketView& packet, bool checked, Turn turn);
  void on_icmpv6(const wire::IpPacketView& packet, bool checked, Turn turn);
  void on_echo(const wire::IpPacketView& packet, Turn turn);
  void answer_echo(const wire::IpPacketView& packet, ActionSink& out);

  [[nodiscard]] bool source_is_possible(const wire::IpPacketView& packet) const;
  [[nodiscard]] bool is_ours(const wire::IpAddress& address) const;
  void drop(DropReason reason) { admission_.drops().count(reason); }

  EngineOptions options_;
  GuestLink link_;
  policy::MeterBook own_meters_;
  FlowAdmission admission_;
  dns::NameBookOf<dns::NoLock> own_book_;
  dns::NameBook& book_;
  RefusalBookOf<dns::NoLock> own_refusals_;
  RefusalBook& refusals_;
  Judge judge_;
  DnsJudge dns_judge_;
  Audit audit_;
  TargetMap targets_;
  TimerWheel timers_;
  FragmentReassembly reassembly_;
  dns::DnsRelay dns_;
  dns::DnsNames names_;
  dns::DnsRelay::Actions dns_fresh_;
  std::vector<dns::DnsAction> dns_actions_;
  TcpFlows tcp_;
  UdpFlows udp_;
  PingFlows ping_;
  DnsStreams dns_streams_;
  ExplainedFlows explained_;
  InsidePages pages_;
  TargetFinder finder_;
  std::vector<TcpId> dns_asking_;
  std::vector<Datagram> reassembled_;  // Of this burst: actions borrow their bytes.
  std::vector<std::vector<std::uint8_t>> foreign_frames_;
  std::vector<std::uint8_t> echo_reply_;
  Sight sight_;
  QuerySight query_sight_{sight_};
  bool burst_open_ = false;
};

}  // namespace sluice::flow
