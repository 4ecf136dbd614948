// One run: a guest, a link and a host around one engine, on a virtual clock. Everything that
// happens comes from the seed.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <queue>
#include <vector>

#include "carried.h"
#include "flow/engine/engine.h"
#include "guest_tcp.h"
#include "host.h"
#include "scenario.h"
#include "unit/flow/engine/cut_frame.h"

namespace sluice::sim {

struct Totals {
  std::uint64_t events = 0;
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
  std::uint64_t guest_timeouts = 0;
  std::uint64_t handed_over = 0;
  std::uint64_t hand_overs_failed = 0;
  std::uint64_t injected = 0;
  std::uint64_t ended = 0;         // Runs whose command ended in their midst.
  std::uint64_t urgent_stops = 0;  // Reads that ended in front of an urgent byte.
  std::uint64_t sockets_lost = 0;
  std::uint64_t asked = 0;  // Questions about flows.
};

class World final : private GuestStack, private CarriedStack {
 public:
  explicit World(std::uint64_t seed, bool verbose = false);

  // Throws Failure when an invariant does not hold.
  void run();
  [[nodiscard]] const Totals& totals() const { return totals_; }

 private:
  enum class EventKind : std::uint8_t {
    kFrameToEngine,
    kFrameToGuest,
    kGuestStart,
    kGuestWake,
    kHost,
    kDatagram,
    kPing,
    kUdpReply,
    kPingReply,
    kFrameToCarried,
    kCarriedWake,
    kCarry,
    kAgentActs,
    kAgentAnswers,
    kAgentReady,
    kAgentGone,
    kCommandEnds,
    kVerdict,
  };
  struct Event {
    Instant at{};
    std::uint64_t order = 0;
    EventKind kind{};
    std::uint32_t a = 0;
    Host::Event host{};
    friend bool operator>(const Event& x, const Event& y) {
      return x.at != y.at ? x.at > y.at : x.order > y.order;
    }
  };
  struct Frame {
    std::vector<std::uint8_t> bytes;
    wire::VirtioNetHeader offload{};
  };
  struct Reply {
    flow::UdpId udp{};
    flow::PingId ping{};
    wire::Endpoint from{};
    std::vector<std::uint8_t> bytes;
  };

  // A connection on its way to the guest's kernel, and there.
  struct HandOver {
    enum class Stage : std::uint8_t { kNone, kAsked, kCarried, kClosing, kOver };
    enum class Answer : std::uint8_t { kHandedOver, kRefused, kTakenBack };
    Stage stage = Stage::kNone;
    Answer answer{};
    std::uint32_t attempt = 0;
    flow::TcpId id{};
    wire::TcpSnapshot snapshot{};
    std::vector<std::vector<std::uint8_t>> kept{};  // Packets that wait for the answer.
    bool diverted = false;                          // The guest's kernel turns its packets.
    std::unique_ptr<CarriedTcp> socket{};
    std::uint64_t from_guest = 0;  // Before it was handed over.
    std::uint64_t from_host = 0;
    std::uint64_t to_host = 0;  // Carried since.
    std::uint64_t to_guest = 0;
    bool turn_planned = false;
    std::uint32_t handed_over = 0;
    std::uint32_t released = 0;
    std::uint32_t engine_frames = 0;  // Since the hand-over.
    // A socket that was taken back took packets with it, and they are lost.
    bool lost_packets = false;
    // The right edge that the guest was offered, by whoever had the connection.
    std::optional<wire::SeqNum> acknowledged{};
    wire::SeqNum edge{};
    std::uint32_t reports = 0;
  };

  // The question about a connection, the newest of them.
  struct Asked {
    bool open = false;
    bool ever = false;
    bool refused = false;  // Any of them, or nothing was said.
    bool never = false;
    bool again = false;  // A late SYN is a flow of its own.
    bool answer_planned = false;
    std::uint32_t number = 0;
    flow::FlowId flow{};
    flow::Ruling ruling{};
    Duration delay{};
    std::uint64_t bytes_wanted = 0;  // Of the first bytes, before it is answered.
  };

  // GuestStack and CarriedStack
  [[nodiscard]] Instant now() const override { return now_; }
  void transmit(std::uint32_t connection, const OutgoingSegment& segment) override;
  void wake_at(std::uint32_t connection, Instant when) override;
  void transmit_carried(std::uint32_t connection, const OutgoingSegment& segment) override;
  void wake_carried_at(std::uint32_t connection, Instant when) override;

  void schedule(Instant at, EventKind kind, std::uint32_t a = 0, const Host::Event& host = {});
  void run_to_the_end();
  void describe_state();
  void step();
  void run_bursts();
  void feed(const Frame& frame);
  void dispatch(const Event& event);
  void start_connection(std::uint32_t number);
  void check_flows();
  void check_ends();
  void drain();
  void settle();
  void carry_out(const flow::Action& action);

  // Hand-overs: the parts of the guest's agent, of driver/fast_path and of
  // driver/fast_path/carrier.
  [[nodiscard]] std::uint32_t connection_of(const wire::Endpoint& guest) const;
  [[nodiscard]] std::uint32_t connection_of(flow::TcpId id) const;
  [[nodiscard]] Duration draw_within(Duration limit);
  void on_hand_over(const flow::HandOverTcp& action);
  void check_snapshot(const flow::HandOverTcp& action, std::uint32_t connection);
  void on_divert(const flow::DivertTcp& action);
  void on_release(const flow::ReleaseTcp& action);
  void on_close(const flow::CloseTcp& action);
  void agent_acts(std::uint32_t connection);
  void agent_answers(std::uint32_t connection);
  void hand_over_fails(HandOver& hand_over);
  void hand_over_succeeds(std::uint32_t connection);
  void agent_goes();
  [[nodiscard]] bool takes_new_way(std::uint32_t connection, wire::TcpFlags flags);
  void inject(std::uint32_t connection, ByteView packet);
  void to_carried(std::uint32_t frame, std::uint32_t connection);
  void deliver_to_carried(const Frame& frame, std::uint32_t connection);
  void plan_turn(std::uint32_t connection);
  void carry(std::uint32_t connection);
  void end_carrying(HandOver& hand_over, policy::Outcome outcome);
  void settle_closing(HandOver& hand_over);
  // Returns the connection that the frame is of, if it is of TCP.
  std::optional<std::uint32_t> note_offer(ByteView frame);
  void note_engine_frame(std::optional<std::uint32_t> connection);
  void check_report(const flow::FlowSummary& summary);
  void check_hand_overs();

  // Questions (world_ask.cc).
  void begin_asking();
  void on_ask(const flow::AskPolicy& question);
  void draw_ruling(Asked& asked, const flow::AskPolicy& question);
  void answer(std::uint32_t connection, std::uint32_t number);
  [[nodiscard]] std::uint32_t asked_of_datagrams(const flow::FlowId& flow);
  [[nodiscard]] bool datagrams_are_refused() const;
  void note_unanswered(flow::TcpId id);
  void on_withdraw(const flow::WithdrawAsk& action);
  void check_asked();

  // The end of the command.
  void end_command();
  [[nodiscard]] bool drained();
  void shut_down();

  // Link.
  [[nodiscard]] std::uint32_t new_frame();
  void send_frame(std::uint32_t frame, EventKind direction);
  void collect_frames();
  void deliver_to_guest(const Frame& frame);
  void tcp_to_guest(const wire::IpPacketView& packet, const Frame& frame);
  void icmp_to_guest(const wire::IpPacketView& packet);

  // Datagrams and pings.
  void send_datagram(std::uint32_t number);
  void send_ping(std::uint32_t number);
  void on_send_udp(const flow::SendUdp& action);
  void on_send_ping(const flow::SendPing& action);

  std::uint64_t seed_;
  bool verbose_;
  Prng prng_;
  Prng carry_prng_;
  Prng ask_prng_;
  Prng cut_prng_;
  Scenario scenario_;
  sim::FaultInjector faults_;
  Instant now_;
  Instant start_;
  flow::Engine engine_;
  flow::ActionSink sink_;
  Host host_;
  std::deque<GuestTcp> guests_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  std::deque<Frame> frames_;
  std::vector<std::uint32_t> free_frames_;
  std::vector<std::uint32_t> burst_;
  std::deque<flow::test::CutFrame> cut_;  // Of the burst.
  Instant last_to_engine_{};
  Instant last_to_guest_{};
  Instant last_to_carried_{};
  Instant last_from_carried_{};
  bool agent_here_ = false;
  std::vector<HandOver> hand_overs_;
  std::vector<Asked> asked_;                        // By connection, then those about datagrams.
  std::deque<std::vector<std::uint8_t>> returned_;  // Borrowed by actions.
  std::deque<Reply> replies_;
  bool ended_ = false;
  std::vector<std::uint32_t> delivers_;  // Connections that were open when the command ended.
  std::uint32_t datagrams_sent_ = 0;
  std::uint32_t datagrams_seen_ = 0;
  std::uint32_t datagram_replies_ = 0;
  std::uint32_t pings_sent_ = 0;
  std::uint32_t ping_replies_ = 0;
  std::uint32_t udp_sockets_ = 0;
  std::uint32_t ping_sockets_ = 0;
  Totals totals_;
};

}  // namespace sluice::sim
