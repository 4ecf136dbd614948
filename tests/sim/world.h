// One run: a guest, a link and a host around one engine, on a virtual clock. Everything that
// happens comes from the seed.
#pragma once

#include <cstdint>
#include <deque>
#include <queue>
#include <vector>

#include "flow/engine.h"
#include "guest_tcp.h"
#include "host.h"
#include "scenario.h"

namespace sluice::sim {

struct Totals {
  std::uint64_t events = 0;
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
  std::uint64_t guest_timeouts = 0;
};

class World final : private GuestStack {
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

  // GuestStack
  [[nodiscard]] Instant now() const override { return now_; }
  void transmit(std::uint32_t connection, const OutgoingSegment& segment) override;
  void wake_at(std::uint32_t connection, Instant when) override;

  void schedule(Instant at, EventKind kind, std::uint32_t a = 0, const Host::Event& host = {});
  void run_to_the_end();
  void describe_state();
  void step();
  void run_bursts();
  void dispatch(const Event& event);
  void start_connection(std::uint32_t number);
  void check_flows();
  void check_ends();
  void drain();
  void settle();
  void carry_out(const flow::Action& action);

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
  Scenario scenario_;
  link::FaultInjector faults_;
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
  Instant last_to_engine_{};
  Instant last_to_guest_{};
  std::deque<Reply> replies_;
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
