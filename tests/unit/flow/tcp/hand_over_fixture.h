// A connection that is brought to the point of being handed over, with a test in the place of the
// driver that keeps its packets.
#pragma once

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {

class HandOverFixture : public TcpFixture {
 protected:
  static constexpr std::size_t kEnough = 256 * 1024;

  // A packet of the guest's that the engine gave back, as the driver keeps it.
  struct Diverted {
    TcpId flow;
    Bytes packet;
  };

  void feed_diverted(const GuestSegment& segment) {
    const Bytes bytes = tcp_frame(network(), segment);
    frame(bytes);
    engine().end_burst(BurstEnd::kDrained, {now, sink});
    // Before collect() forgets the bytes.
    for (const Action& action : sink.actions()) {
      if (const auto* divert = std::get_if<DivertTcp>(&action)) {
        diverted.push_back({divert->flow, {divert->packet.begin(), divert->packet.end()}});
      }
    }
    collect();
    end_burst();
  }

  // The guest's bytes, `length` in all, taken by the host; none of it makes a pause.
  void send_much(Connection& c, std::size_t length) {
    while (length > 0) {
      const std::size_t now_sent = std::min<std::size_t>(length, 32 * 1024);
      send(c, now_sent);
      length -= now_sent;
    }
  }
  // Ready to be handed over; the HandOverTcp is in `actions`.
  Connection asked(const ConnectionOptions& wanted = {}) {
    Connection c = establish(wanted);
    tcp().set_hand_over(HandOverWhen::kAlways);
    feed(ack(c));
    return c;
  }
  Connection handed_over(const ConnectionOptions& wanted = {}) {
    const Connection c = asked(wanted);
    clear();
    tcp().on_handed_over(c.id, {now, sink});
    collect();
    return c;
  }
  // As the driver does it.
  void fail(const Connection& c) {
    tcp().on_hand_over_failed(c.id, {now, sink});
    for (const Diverted& one : diverted) engine().on_returned(one.packet, {now, sink});
    if (!diverted.empty()) engine().end_burst(BurstEnd::kDrained, {now, sink});
    collect();
  }
  [[nodiscard]] bool is_asked_for(const Connection& c) {
    return flow(c)->hand_over == HandOverStage::kAsked;
  }
  [[nodiscard]] wire::SeqNum edge_of(const Received& frame, const ConnectionOptions& wanted = {}) {
    const unsigned scale = wanted.options.window_scale ? TcpFlows::kWindowScale : 0;
    return frame.tcp().acknowledgment() + (std::uint32_t{frame.tcp().window()} << scale);
  }
  [[nodiscard]] policy::Outcome outcome() {
    const auto reports = all<ReportFlow>();
    EXPECT_EQ(reports.size(), 1u);
    return reports.empty() ? policy::Outcome::kOpen : reports.front().summary.outcome;
  }

  std::vector<Diverted> diverted;
};

}  // namespace sluice::flow::test
