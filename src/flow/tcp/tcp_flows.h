// All TCP flows of one guest: from the guest's segments and the host sockets' events to actions
// and frames. See docs/tcp_relay.md for states, timers and windows.
//
// Sans-IO and single-threaded. A burst is the frames handed in between two calls of end_burst():
// only then are bytes written, ACKs sent and queues read, once for each flow that was touched.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/siphash.h"
#include "base/slab.h"
#include "base/timer_wheel.h"
#include "flow/core/action.h"
#include "flow/core/flow_table.h"
#include "flow/core/flow_walk.h"
#include "flow/core/found_target.h"
#include "flow/core/loopback_servers.h"
#include "flow/core/sight.h"
#include "flow/gate/claim.h"
#include "flow/ip/flow_context.h"
#include "flow/tcp/tcp_flow.h"
#include "policy/loopback_use.h"
#include "policy/port_map.h"
#include "wire/ip/flow_tuple.h"
#include "wire/ip/ip.h"
#include "wire/transport/tcp.h"
#include "wire/transport/tcp_frame_head.h"

namespace sluice::flow {

// Whether the link has been read empty.
enum class BurstEnd : std::uint8_t { kDrained, kMoreFollows };

enum class PeekStatus : std::uint8_t {
  kData,
  kWouldBlock,
  kBehindUnread,  // Only once what the guest has not acknowledged is discarded can we look there.
  kEndOfStream,
};

struct TcpPeeked {
  wire::SeqNum sequence;  // As asked.
  PeekStatus status{};
  ByteView bytes;
  bool more = false;  // The buffer was filled, so the queue may hold more.
};

// What frames of a flow's data have in common before there is any data.
struct TcpFramesToCome {
  wire::FlowTuple flow;     // As they have it.
  std::size_t headers = 0;  // Of each of them, from the Ethernet header on.
  std::size_t payload = 0;  // Of each but the last, at most.
};

struct TcpWritten {
  std::uint64_t taken = 0;     // Of the bytes: they are the kernel's, or wait in the spill,
  std::uint32_t buffered = 0;  // which now holds so many.
  std::uint32_t room = 0;      // What the kernel would take beyond that.
};

// Which connections are handed over to the guest's kernel.
enum class HandOverWhen : std::uint8_t {
  kNever,
  kLong,    // Those that have moved enough for it to pay.
  kAlways,  // Each as soon as it stands.
};

struct TcpFlowsOptions {
  Duration idle_limit = std::chrono::minutes(124);  // RFC 5382, REQ-5
  std::uint32_t peek_max = 256 * 1024;              // Bytes read from one socket in one go.
};

// A segment of the guest's, in the packet that it came in.
struct TcpArrival {
  const wire::IpPacketView& packet;
  const wire::TcpView& segment;
};

class TcpFlows {
 public:
  static constexpr std::uint32_t kWindowMax = Receiver::kWindowMax;
  static constexpr std::uint8_t kWindowScale = kTcpWindowScale;
  // RFC 6298, 2.1: until a round trip was measured.
  static constexpr Duration kSynResend = std::chrono::seconds(1);
  // A guest's kernel forgets a connection that its program has closed, a minute after its FIN was
  // acknowledged, without a word to the other side. How often it is asked.
  static constexpr Duration kHalfClosedCheck = std::chrono::seconds(5);

  TcpFlows(const FlowContext& context, const SipKey& isn_key, const TcpFlowsOptions& options = {});
  ~TcpFlows();

  // From the guest. `packet` is whole (not a fragment) and its checksum was checked.
  void on_segment(const wire::IpPacketView& packet, const wire::TcpView& segment, Turn turn);
  // The same of one of which the head is here and `rest` is not, for whose checksum the guest
  // vouches. False, and nothing has happened, where it is not simply what its connection waits for:
  // it has to be whole then.
  [[nodiscard]] bool on_pieces(const wire::TcpFrameHead& head, std::span<const ByteView> rest,
                               Turn turn);
  // When another burst follows at once, ACKs of bulk data may wait for it.
  void end_burst(BurstEnd end, Turn turn);

  // From the host. Unknown ids are ignored: the flow may have ended while the event was on its way.
  void on_connected(TcpId id, std::uint32_t room, Turn turn);
  void on_connect_failed(TcpId id, HostError error, Turn turn);
  // Answers a WriteTcp.
  void on_written(TcpId id, const TcpWritten& written, Turn turn);
  // Answers a StashTcp of `asked` bytes: so many of them found room.
  void on_stashed(TcpId id, std::size_t asked, std::size_t taken);
  // The socket became writable again and the spill was flushed as far as it would go.
  void on_room(TcpId id, std::uint32_t buffered, std::uint32_t room, Turn turn);
  void on_readable(TcpId id, bool hung_up, Turn turn);
  // Of the data that a PeekTcp of this flow finds. None where we have to look at it for a checksum.
  [[nodiscard]] std::optional<TcpFramesToCome> frames_to_come(TcpId id) const;
  // Answers a PeekTcp. Where frames_to_come() says what they are like, of the bytes only their
  // number counts.
  void on_peeked(TcpId id, const TcpPeeked& peeked, Turn turn);
  // The host's side has failed: it takes nothing more, and a write to it is answered as if it did.
  // What it sent before can still be read; the guest is reset behind it.
  void on_host_error(TcpId id, HostError error, Turn turn);
  // The socket is gone, or its bytes are not what it said before: both sides are reset at once.
  void on_socket_lost(TcpId id, Turn turn);
  // The guest's bytes are gone that were to be written: its memory was taken away. Both sides are
  // reset, as what the host has got is not all that the guest sent.
  void on_bytes_lost(TcpId id, Turn turn);
  // Answers a ProbeTcp. The guest hears nothing where its peer is silent, and draws its own
  // conclusion in its own time.
  void on_probed(TcpId id, bool answers, ActionSink& out);
  // Nothing is left of the lane of a WriteTcp, or of a flow that was handed over: it ends, and what
  // waits goes no further.
  void on_used_up(TcpId id, Turn turn);
  // Whose limits a flow counts for now; null: nobody's.
  [[nodiscard]] policy::Meter* meter_of(TcpId id) const;
  // Answers a FindTarget.
  void on_found(TcpId id, const FoundTarget& found, Turn turn);
  // A flow that was let in to be told why it is refused has said nothing in time.
  void give_up(TcpId id, Turn turn);
  // By whom the flow of a ConnectTcp is led, until that is answered; null: it has ended.
  [[nodiscard]] const Way* way_of(TcpId id) const;
  // Answers an AskPolicy, whichever it was.
  void on_verdict(TcpId id, const Ruling& ruling, Turn turn);
  // Who judges first bytes, at once. Not owned, and outlives the flows: those that are watched have
  // none but the last one. Null, and to begin with: whoever answers AskPolicy, about new flows
  // only.
  void set_claim_judge(ClaimJudge* judge) {
    claims_ = judge;
    if (judge != nullptr) watching_ = judge;
  }
  // First bytes that are refused go on nonetheless, and the flow says why they would not have.
  void let_through_all() { audits_ = true; }
  // Where to tell what was judged of first bytes. Not owned; null, and to begin with: nowhere.
  void set_sight(Sight* sight) { sight_ = sight; }
  // A published port was called. The flow's id, or why there is none. `client` is its real
  // address, `guest` where in the guest it leads. The connection itself is the driver's to keep.
  [[nodiscard]] std::expected<TcpId, policy::Verdict> on_inbound(const wire::Endpoint& client,
                                                                 const wire::Endpoint& guest,
                                                                 std::uint32_t room, Turn turn);

  // Whether the driver can carry out a CallGuest, and when it is to. Never, to begin with. Nor at
  // ports of the guest's loopback that lead out: who waits there is one of us, and leads back.
  void set_call_guest(policy::LoopbackUse when, std::vector<policy::PortMap> lead_out = {}) {
    call_guest_ = when;
    lead_out_ = std::move(lead_out);
  }
  void set_lead_out(std::vector<policy::PortMap> ports) { lead_out_ = std::move(ports); }
  // A program of the guest's called a listener of ours at its own loopback, which leads to `target`
  // of the host. The flow's id, or why there is none. Its socket is the driver's to keep.
  [[nodiscard]] std::expected<TcpId, policy::Verdict> on_loopback_client(
      const wire::Endpoint& client, const wire::Endpoint& target, Turn turn);
  // Answer a CallGuest.
  void on_guest_answered(TcpId id, Turn turn);
  void on_guest_refused(TcpId id, Turn turn);

  // Whether the driver can carry out a HandOverTcp; nobody is asked before.
  void set_hand_over(HandOverWhen when) { hand_over_when_ = when; }
  // Answers a HandOverTcp. The driver keeps the DivertTcp of this flow that came in between; it now
  // passes them to the socket, or else, after on_hand_over_failed(), to Engine::on_returned().
  void on_handed_over(TcpId id, Turn turn);
  void on_hand_over_failed(TcpId id, Turn turn);
  // What a flow that was handed over has carried since, in bytes.
  void on_carried(TcpId id, std::uint64_t to_host, std::uint64_t to_guest, Instant now);
  // ... and what of the guest's still waits for the host; `host_shut` says that the host was passed
  // the guest's FIN.
  void on_carried_waiting(TcpId id, std::uint64_t bytes, bool host_shut);
  // Both its sockets are closed.
  void on_carried_to_end(TcpId id, policy::Outcome outcome, Turn turn);

  void on_timer(std::uint32_t index, Turn turn);
  // Flows that could read on but let others go first. Call run_deferred() on the next turn.
  [[nodiscard]] bool has_deferred() const { return !deferred_.empty(); }
  void run_deferred(Turn turn);
  // The guest's link has no room. Whether this can wait until run_deferred(): what was not sent
  // before can, and the flow asks again then; a repair goes out.
  [[nodiscard]] bool defer(const PeekTcp& action);
  // What the spill may still take over all flows. What their windows count on of it is never more.
  void set_spill_free(std::size_t bytes) { spill_.set_free(bytes); }

  // The command has ended: from here on it counts how long the guest's flows have been still.
  void begin_drain(Instant now) { drain_began_ = now; }
  // What the guest's kernel, or we, may still have for hosts that have taken some of it lately.
  struct Undelivered {
    std::size_t flows = 0;
    std::uint64_t bytes = 0;  // Known to wait; the guest's kernel may have more.
    Instant until = kNever;   // When the next of these flows is given up unless something moves.
  };
  [[nodiscard]] Undelivered undelivered(Instant now);

  // Closes and reports everything: sluice ends. A host that does not have the guest's whole stream
  // sees a RST. Returns those whose hosts would have had more.
  struct GivenUp {
    FlowKey key;
    std::uint64_t bytes = 0;  // Known to wait.
  };
  std::vector<GivenUp> shut_down(Turn turn);

  // The policy is another: ends each flow that it lets through no longer.
  void judge_again(Turn turn);
  void judge_waiting(TcpFlow& flow, Turn turn);
  // Ends the flow at a place of walk(): both sides are reset at once.
  void cut_off(std::uint32_t index, policy::Verdict why, Turn turn);

  [[nodiscard]] std::size_t size() const { return flows_.size(); }
  [[nodiscard]] const TcpFlow* find(const FlowKey& key) const;
  // See flow_walk.h.
  template <typename Visit>
  [[nodiscard]] std::uint32_t walk(std::uint32_t from, const Visit& visit) const {
    return walk_flows(flows_, from,
                      [&visit](const TcpFlow& flow) { return is_over(flow.state) || visit(flow); });
  }

 private:
  // What the two handshakes have agreed on.
  struct Agreed {
    wire::SeqNum guest_next;
    wire::SeqNum our_next;
    std::uint32_t window = 0;
  };
  // A segment to the guest without data, and one with.
  struct Control {
    wire::SeqNum sequence;
    wire::TcpFlags flags;
  };
  struct Stretch {
    wire::SeqNum sequence;
    ByteView bytes;
    bool fin = false;
  };

  [[nodiscard]] TcpFlow* find(TcpId id) { return flows_.find(id); }
  [[nodiscard, gnu::always_inline]] std::uint32_t index_of(const FlowKey& key) const {
    return table_.find(
        key, [this](std::uint32_t index) -> const FlowKey& { return flows_.at(index).key; });
  }
  [[nodiscard]] TcpFlow& create(const FlowKey& key, TcpId& id, Instant now);
  void remove(TcpId id, policy::Outcome outcome, Turn turn);
  void report(const TcpFlow& flow, policy::Outcome outcome, Turn turn);
  void finish_if_done(TcpFlow& flow, Relaying& state, Turn turn);
  void touch(TcpFlow& flow) {
    if (flow.touched) return;
    flow.touched = true;
    touched_.push_back(flow.id.index);
  }
  void arm(TcpFlow& flow, Instant deadline);
  [[nodiscard]] wire::SeqNum initial_sequence(const FlowKey& key, Instant now) const;

  // tcp_open.cc
  void on_syn(const FlowKey& key, const TcpArrival& arrival, Turn turn);
  void on_unknown(const FlowKey& key, const wire::TcpView& segment, ActionSink& out);
  void segment_unanswered(TcpFlow& flow, wire::SeqNum isn, const TcpArrival& arrival, Turn turn);
  void segment_syn_ack_sent(TcpFlow& flow, SynAckSent& state, const TcpArrival& arrival, Turn turn);
  void segment_lingering(TcpFlow& flow, Lingering& state, const TcpArrival& arrival, Turn turn);
  void reopen(TcpFlow& flow, const TcpArrival& arrival, Turn turn);
  Relaying& establish(TcpFlow& flow, const Agreed& agreed, const wire::TcpView& segment,
                      Instant now);
  void send_syn(const TcpFlow& flow, wire::SeqNum our_isn, std::optional<wire::SeqNum> guest_next,
                ActionSink& out) const;
  void send_reset(const FlowKey& key, wire::SeqNum sequence,
                  std::optional<wire::SeqNum> acknowledgment, ActionSink& out) const;

  // tcp_inbound.cc
  [[nodiscard]] bool find_free_name(FlowKey& key) const;
  void ask_guest(TcpFlow& flow, std::uint32_t room, Turn turn);
  void drop_half_open(Turn turn);
  [[nodiscard]] bool retry_other_family(TcpFlow& flow, const SynSent& state, Turn turn);
  void segment_syn_sent(TcpFlow& flow, SynSent& state, const wire::TcpView& segment, Turn turn);

  // tcp_receive.cc
  // A segment of a connection that stands, with its first bytes kept or not.
  void segment_relaying(TcpFlow& flow, Relaying& state, const wire::TcpView& segment, Turn turn);
  void segment_control(TcpFlow& flow, Relaying& state, const wire::TcpView& segment, Turn turn);
  void receive_data(TcpFlow& flow, Relaying& state, const wire::TcpView& segment, ActionSink& out);
  void receive_early(TcpFlow& flow, Relaying& state, const Receiver::Piece& piece, ActionSink& out);
  [[nodiscard]] bool stash(TcpId id, std::uint64_t offset, ByteView bytes, ActionSink& out);
  [[nodiscard]] std::uint16_t advertise(const TcpFlow& flow, Receiver& rx);

  // tcp_send.cc
  void receive_ack(TcpFlow& flow, Relaying& state, const wire::TcpView& segment, Turn turn);
  void repair(TcpFlow& flow, Relaying& state, ActionSink& out);
  void end_flow_burst(TcpFlow& flow, Turn turn);
  void request_data(TcpFlow& flow, Sender& tx, Turn turn);
  void send_data(TcpFlow& flow, Receiver& rx, Stretch stretch, ActionSink& out);
  void send_control(TcpFlow& flow, Relaying& state, Control control, ActionSink& out);
  void send_ack(TcpFlow& flow, Relaying& state, ActionSink& out);
  [[nodiscard]] bool may_hold_ack(const Relaying& state) const;

  // tcp_hand_over.cc
  void consider_hand_over(TcpFlow& flow, Relaying& state, Turn turn);
  void go_on_by_tap(TcpFlow& flow, Relaying& state, Turn turn);
  void divert(const TcpFlow& flow, const wire::IpPacketView& packet, ActionSink& out);
  void segment_handed_over(TcpFlow& flow, const HandedOver& state, const TcpArrival& arrival,
                           Turn turn);

  // tcp_ask.cc
  void connect(TcpFlow& flow, const Deciding& wanted, Gate gate, Turn turn);
  void refuse(TcpFlow& flow, Refusal refusal, Turn turn);
  // What it sends before it is judged. False when the flow is gone.
  [[nodiscard]] bool keep_data(TcpFlow& flow, Relaying& state, const wire::TcpView& segment,
                               Turn turn);
  void end_gated_burst(TcpFlow& flow, Turn turn);
  void write_kept(TcpFlow& flow, Gated& state, Turn turn);
  void written_gated(TcpFlow& flow, const TcpWritten& written, Turn turn);
  void open_gate(TcpFlow& flow, Gated& state, Turn turn);
  void release_kept(TcpFlow& flow);
  void timer_gated(TcpFlow& flow, Gated& state, Turn turn);

  // tcp_gate.cc
  // False: the flow is gone, or had its turn.
  [[nodiscard]] bool judge_kept(TcpFlow& flow, Gated& state, Turn turn);
  // What of the burst of a watched flow goes to the host.
  enum class Sifted : std::uint8_t { kNothing, kWriting, kFlowIsGone };
  [[nodiscard]] Sifted sift(TcpFlow& flow, Relaying& state, Turn turn);

  // tcp_timers.cc
  [[nodiscard]] bool may_resend_syn(TcpFlow& flow, std::uint8_t& resends, Turn turn);
  void timer_relaying(TcpFlow& flow, Relaying& state, Turn turn);
  void end_failed(TcpFlow& flow, const Sender& tx, Turn turn);
  void abort(TcpFlow& flow, policy::Outcome outcome, Turn turn);

  GuestLink& link_;
  FlowAdmission& admission_;
  const TargetMap& targets_;
  const FrameShare& share_;
  TimerWheel& timers_;
  std::uint32_t timer_kind_;
  SipKey isn_key_;
  TcpFlowsOptions options_;
  Slab<TcpFlow> flows_;
  FlowTable table_;
  std::vector<std::uint32_t> touched_;
  std::vector<std::uint32_t> ending_;  // Those of the burst that end_burst() works on.
  BurstEnd burst_end_ = BurstEnd::kDrained;
  std::vector<TcpId> deferred_;
  std::vector<TcpId> resuming_;
  std::deque<TcpId> half_open_;  // Inbound, the oldest first; some are open or gone since.
  SpillBudget spill_;
  std::vector<std::vector<std::uint8_t>> parting_;  // Kept bytes that actions may borrow yet.
  std::size_t keeping_ = 0;                         // Flows that keep their first bytes.
  std::size_t lingering_ = 0;
  std::size_t over_ = 0;  // Of those that were handed over.
  std::size_t refused_ = 0;
  ClaimJudge* claims_ = nullptr;    // Of flows whose first bytes are to come.
  ClaimJudge* watching_ = nullptr;  // Of those that are watched.
  Sight* sight_ = nullptr;
  bool audits_ = false;
  HandOverWhen hand_over_when_ = HandOverWhen::kNever;
  policy::LoopbackUse call_guest_ = policy::LoopbackUse::kNever;
  std::vector<policy::PortMap> lead_out_;
  LoopbackServers loopback_servers_;
  Instant drain_began_{};
};

}  // namespace sluice::flow
