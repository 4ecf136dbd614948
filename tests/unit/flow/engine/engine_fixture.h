// An engine with a test in the place of its driver: feeds it frames and host events, and keeps the
// frames and actions that come out. Time stands still unless the test moves it.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "flow/engine/engine.h"
#include "unit/flow/engine/guest_frames.h"

namespace sluice::flow::test {

using namespace std::chrono_literals;

// A WriteTcp with its bytes, those in the stash excluded.
struct Written {
  WriteTcp action;
  Bytes bytes;
};
// A SendUdp or SendPing with its bytes.
struct SentUdp {
  SendUdp action;
  Bytes bytes;
};
struct SentPing {
  SendPing action;
  Bytes bytes;
};

class EngineFixture : public testing::Test {
 protected:
  static constexpr Instant kStart{1000s};

  EngineFixture() { restart({}); }

  // A new engine.
  void restart(EngineOptions options) {
    engine_.reset();
    clear();
    engine_.emplace(std::move(options), EngineSeeds{}, now);
  }

  [[nodiscard]] Engine& engine() { return *engine_; }
  [[nodiscard]] TcpFlows& tcp() { return engine_->tcp(); }
  [[nodiscard]] const GuestNetwork& network() const { return engine_->network(); }
  [[nodiscard]] std::uint64_t drops(DropReason reason) const { return engine_->drops()[reason]; }

  // One frame of a burst; several may come before end_burst().
  void frame(Bytes bytes, const wire::VirtioNetHeader& offload = {}) {
    burst_.push_back(std::move(bytes));
    engine_->on_frame(burst_.back(), offload, {now, sink});
  }
  void end_burst() {
    engine_->end_burst(BurstEnd::kDrained, {now, sink});
    collect();
    burst_.clear();
  }
  // A burst of one frame.
  void feed(Bytes bytes, const wire::VirtioNetHeader& offload = {}) {
    frame(std::move(bytes), offload);
    end_burst();
  }
  void feed(const GuestSegment& segment) { feed(tcp_frame(network(), segment)); }

  // Lets time pass, with every timer at its time.
  void pass(Duration time) {
    const Instant end = now + time;
    while (engine_->next_wakeup() <= end) {
      now = std::max(now, engine_->next_wakeup());
      engine_->on_timers({now, sink});
      collect();
    }
    now = end;
  }

  // Takes over the frames that the sink holds.
  void collect_frames() {
    for (const wire::FrameOut& out : sink.frames()) {
      const ByteView header = sink.frames().header(out);
      Received received{{header.begin(), header.end()}, out.offload};
      received.bytes.insert(received.bytes.end(), out.payload.begin(), out.payload.end());
      frames.push_back(std::move(received));
    }
    sink.frames().clear();
  }
  // Takes over what the sink holds. Call after an event of the host.
  void collect() {
    collect_frames();
    for (const Action& action : sink.actions()) {
      actions.push_back(action);
      if (const auto* write = std::get_if<WriteTcp>(&action)) {
        Written written{*write, {}};
        for (std::uint32_t at = write->first_range; at != kNoRange; at = sink.range(at).next) {
          const ByteView bytes = sink.range(at).bytes;
          written.bytes.insert(written.bytes.end(), bytes.begin(), bytes.end());
        }
        writes.push_back(std::move(written));
      } else if (const auto* udp = std::get_if<SendUdp>(&action)) {
        datagrams.push_back({*udp, {udp->payload.begin(), udp->payload.end()}});
      } else if (const auto* ping = std::get_if<SendPing>(&action)) {
        pings.push_back({*ping, {ping->message.begin(), ping->message.end()}});
      }
    }
    sink.clear_actions();
  }

  void clear() {
    frames.clear();
    actions.clear();
    writes.clear();
    datagrams.clear();
    pings.clear();
  }

  template <typename T>
  [[nodiscard]] std::vector<T> all() const {
    std::vector<T> found;
    for (const Action& action : actions) {
      if (const auto* one = std::get_if<T>(&action)) found.push_back(*one);
    }
    return found;
  }
  // The only action of this kind; forgets all actions.
  template <typename T>
  T take() {
    const std::vector<T> found = all<T>();
    EXPECT_EQ(found.size(), 1u);
    actions.clear();
    return found.empty() ? T{} : found.front();
  }
  // The only frame; forgets it.
  Received take_frame() {
    EXPECT_EQ(frames.size(), 1u);
    Received one = frames.empty() ? Received{} : frames.back();
    frames.clear();
    return one;
  }

  Instant now = kStart;
  ActionSink sink;
  std::vector<Received> frames;
  std::vector<Action> actions;
  std::vector<Written> writes;
  std::vector<SentUdp> datagrams;
  std::vector<SentPing> pings;

 private:
  std::deque<Bytes> burst_;
  std::optional<Engine> engine_;
};

inline const wire::Endpoint kGuest = endpoint("10.0.2.15:40000");
inline const wire::Endpoint kServer = endpoint("198.51.100.7:80");

struct ConnectionOptions {
  wire::Endpoint guest = kGuest;
  wire::Endpoint remote = kServer;
  wire::SeqNum guest_isn{999};
  std::uint16_t window = 0xffff;
  std::uint32_t room = 64 * 1024;
  wire::TcpOptions options{.mss = 1460, .window_scale = 7, .sack_permitted = true};
};

// Denies these, and allows all else.
inline policy::EgressPolicy denying(std::string_view target) {
  policy::EgressDraft draft;
  draft.rules.push_back({policy::parse_egress_target(target).value(),
                         {.id = "test", .effect = policy::Effect::kDeny}});
  return std::move(*policy::EgressPolicy::compile(std::move(draft)));
}

// One TCP connection of the guest, seen from the guest: it keeps the sequence numbers.
class TcpFixture : public EngineFixture {
 protected:
  struct Connection {
    TcpId id;
    wire::Endpoint guest;
    wire::Endpoint remote;
    wire::SeqNum next;       // The guest's next number.
    wire::SeqNum host_next;  // The engine's next number, as far as the guest has it.
    std::uint16_t window = 0xffff;
    std::uint64_t sent = 0;  // Bytes of the guest's stream.
  };

  static GuestSegment syn(const ConnectionOptions& wanted) {
    return {.guest = wanted.guest,
            .remote = wanted.remote,
            .sequence = wanted.guest_isn,
            .flags = wire::kSyn,
            .window = wanted.window,
            .options = wanted.options};
  }

  // Until the SYN-ACK, which stays in `frames`.
  Connection connect(const ConnectionOptions& wanted = {}) {
    clear();
    feed(syn(wanted));
    Connection c{.id = take<ConnectTcp>().flow,
                 .guest = wanted.guest,
                 .remote = wanted.remote,
                 .next = wanted.guest_isn + 1,
                 .host_next = {},
                 .window = wanted.window};
    tcp().on_connected(c.id, wanted.room, {now, sink});
    collect();
    if (!frames.empty()) c.host_next = frames.back().tcp().sequence() + 1;
    return c;
  }
  Connection establish(const ConnectionOptions& wanted = {}) {
    Connection c = connect(wanted);
    feed(ack(c));
    clear();
    return c;
  }

  static GuestSegment ack(const Connection& c) {
    return {.guest = c.guest,
            .remote = c.remote,
            .sequence = c.next,
            .acknowledgment = c.host_next,
            .window = c.window};
  }
  // The guest's bytes [offset, offset + length), whatever it sent before.
  static GuestSegment data(const Connection& c, std::uint64_t offset, std::size_t length) {
    GuestSegment segment = ack(c);
    segment.sequence = c.next - static_cast<std::uint32_t>(c.sent - offset);
    segment.payload = stream(offset, length);
    return segment;
  }
  // The next `length` bytes, taken by the host at once.
  void send(Connection& c, std::size_t length) {
    feed(data(c, c.sent, length));
    c.next += static_cast<std::uint32_t>(length);
    c.sent += length;
    host_takes(c, length);
  }
  void host_takes(const Connection& c, std::uint64_t taken, std::uint32_t room = 64 * 1024) {
    tcp().on_written(c.id, {taken, 0, room}, {now, sink});
    collect();
  }
  static GuestSegment fin(const Connection& c) {
    GuestSegment segment = ack(c);
    segment.flags = wire::kFin | wire::kAck;
    return segment;
  }
  static GuestSegment rst(const Connection& c) {
    GuestSegment segment = ack(c);
    segment.flags = wire::kRst;
    return segment;
  }

  // The host's socket has `bytes`; answers the PeekTcp that follows.
  void host_sends(Connection& c, const Bytes& bytes, bool hung_up = false) {
    actions.clear();
    tcp().on_readable(c.id, hung_up, {now, sink});
    collect();
    answer_peek(c, bytes, false);
  }
  void answer_peek(Connection& c, const Bytes& bytes, bool more) {
    const auto peek = take<PeekTcp>();
    ASSERT_LE(bytes.size(), peek.max);
    tcp().on_peeked(c.id, {peek.sequence, PeekStatus::kData, bytes, more}, {now, sink});
    collect();
    c.host_next = peek.sequence + static_cast<std::uint32_t>(bytes.size());
  }
  void host_ends(Connection& c) {
    actions.clear();
    tcp().on_readable(c.id, true, {now, sink});
    collect();
    const auto peek = take<PeekTcp>();
    tcp().on_peeked(c.id, {peek.sequence, PeekStatus::kEndOfStream, {}, false}, {now, sink});
    collect();
    c.host_next = peek.sequence + 1;
  }

  [[nodiscard]] const TcpFlow* flow(const Connection& c) {
    return tcp().find(FlowKey{c.guest, c.remote, wire::IpProtocol::kTcp});
  }
};

}  // namespace sluice::flow::test
