// Hand-overs of a run: the guest's agent, which makes kernel sockets of snapshots and turns the
// guest's packets to them, and driver/fast_path, which asks it; and what must hold about them.
#include <algorithm>

#include "check.h"
#include "world.h"

namespace sluice::sim {
std::uint32_t World::connection_of(const wire::Endpoint& guest) const {
  for (std::uint32_t i = 0; i < scenario_.connections.size(); ++i) {
    if (scenario_.connections[i].guest == guest) return i;
  }
  throw Failure("a hand-over is of a connection of the guest's");
}

std::uint32_t World::connection_of(flow::TcpId id) const {
  for (std::uint32_t i = 0; i < hand_overs_.size(); ++i) {
    if (hand_overs_[i].attempt > 0 && hand_overs_[i].id == id) return i;
  }
  throw Failure("packets are diverted only for a connection that was asked for");
}

Duration World::draw_within(Duration limit) {
  return Duration(carry_prng_.below(static_cast<std::uint64_t>(limit.count()) + 1));
}

// What the engine asks for.

void World::on_hand_over(const flow::HandOverTcp& action) {
  const std::uint32_t connection = connection_of(action.snapshot.peer);
  HandOver& hand_over = hand_overs_[connection];
  check(agent_here_, "nobody is handed over without an agent");
  check(hand_over.stage == HandOver::Stage::kNone || hand_over.stage == HandOver::Stage::kOver,
        "a connection is asked for once at a time");
  check_snapshot(action, connection);
  hand_over.stage = HandOver::Stage::kAsked;
  ++hand_over.attempt;
  hand_over.id = action.flow;
  hand_over.snapshot = action.snapshot;
  hand_over.kept.clear();
  const HandOverPlan& plan = scenario_.hand_over;
  const auto drawn = static_cast<std::uint32_t>(carry_prng_.below(100));
  hand_over.answer = drawn < plan.refused                       ? HandOver::Answer::kRefused
                     : carry_prng_.below(100) < plan.taken_back ? HandOver::Answer::kTakenBack
                                                                : HandOver::Answer::kHandedOver;
  if (hand_over.answer == HandOver::Answer::kRefused && carry_prng_.below(3) == 0) {
    hand_over_fails(hand_over);  // The driver itself has no room for it.
    return;
  }
  check(host_.give_to(action.flow, Host::Holder::kNobody, now_), "the host's socket is there");
  const Instant acts = now_ + draw_within(plan.acts_within);
  schedule(acts, EventKind::kAgentActs, connection, {.generation = hand_over.attempt});
  schedule(acts + draw_within(plan.answers_within), EventKind::kAgentAnswers, connection,
           {.generation = hand_over.attempt});
}

// Against what the guest and the host know for themselves.
void World::check_snapshot(const flow::HandOverTcp& action, std::uint32_t connection) {
  const wire::TcpSnapshot& snapshot = action.snapshot;
  const ConnectionPlan& plan = scenario_.connections[connection];
  const GuestTcp& guest = guests_[connection];
  const Host::SocketState host = host_.state_of(action.flow);
  check(snapshot.local == plan.remote && snapshot.peer == plan.guest,
        "the snapshot's ends are the connection's");
  check(snapshot.send_next == guest.expects() && guest.received() == host.head,
        "nothing is on its way to the guest");
  check(
      snapshot.receive_next == wire::SeqNum{plan.isn} + 1 + static_cast<std::uint32_t>(host.taken),
      "the host has all that the guest sent");
  check(host.spilled == 0, "nothing waits for the host");
  check(snapshot.send_next + snapshot.send_window <= guest.offers_until(),
        "the guest's window is one that it offered");
  const HandOver& hand_over = hand_overs_[connection];
  check(
      !hand_over.acknowledged || snapshot.receive_next + snapshot.receive_window >= hand_over.edge,
      "the window that is offered on goes as far as the one before");
  check(snapshot.scaled == plan.window_scale.has_value(), "windows scale where both sides do");
  check(snapshot.send_scale == plan.window_scale.value_or(0) &&
            snapshot.receive_scale ==
                (plan.window_scale ? flow::TcpFlows::kWindowScale : std::uint8_t{0}),
        "the scales are those that were told");
  check(snapshot.scaled || snapshot.receive_window <= 0xffff, "the window can be expressed");
  check(snapshot.sack == plan.sack, "SACK where both sides permit it");
  check(snapshot.segment_size <= std::max<std::uint16_t>(plan.mss, 88) && snapshot.segment_size > 0,
        "no segment exceeds the guest's MSS");
}

void World::on_divert(const flow::DivertTcp& action) {
  HandOver& hand_over = hand_overs_[connection_of(action.flow)];
  switch (hand_over.stage) {
    case HandOver::Stage::kNone: throw Failure("nothing is diverted that was not asked for");
    case HandOver::Stage::kAsked:
      hand_over.kept.emplace_back(action.packet.begin(), action.packet.end());
      return;
    case HandOver::Stage::kCarried:
    case HandOver::Stage::kClosing:
    case HandOver::Stage::kOver: inject(connection_of(action.flow), action.packet); return;
  }
}

void World::on_release(const flow::ReleaseTcp& action) {
  HandOver& hand_over = hand_overs_[connection_of(action.guest)];
  check(action.remote == scenario_.connections[connection_of(action.guest)].remote,
        "a name is released as it was given");
  check(hand_over.stage == HandOver::Stage::kOver, "a name is released when all is over");
  check(++hand_over.released == hand_over.handed_over, "a name is released once");
  hand_over.diverted = false;
}

void World::on_close(const flow::CloseTcp& action) {
  note_unanswered(action.flow);
  for (HandOver& hand_over : hand_overs_) {
    if (hand_over.attempt == 0 || hand_over.id != action.flow) continue;
    const bool live = hand_over.stage == HandOver::Stage::kCarried ||
                      hand_over.stage == HandOver::Stage::kClosing;
    if (live) hand_over.socket->reset();
    // An answer of the agent's that is still to come finds nobody.
    if (hand_over.stage != HandOver::Stage::kNone) hand_over.stage = HandOver::Stage::kOver;
  }
  host_.close(action, now_);
}

// The agent.

void World::agent_acts(std::uint32_t connection) {
  HandOver& hand_over = hand_overs_[connection];
  if (hand_over.answer == HandOver::Answer::kRefused) return;
  const ConnectionPlan& plan = scenario_.connections[connection];
  hand_over.from_guest = distance(wire::SeqNum{plan.isn} + 1, hand_over.snapshot.receive_next);
  hand_over.from_host = guests_[connection].received();
  const std::uint32_t largest = hand_over.snapshot.scaled ? 600'000 : 60'000;
  hand_over.socket = std::make_unique<CarriedTcp>(
      CarriedTcp::Start{
          .snapshot = hand_over.snapshot,
          .from_guest = hand_over.from_guest,
          .to_guest = hand_over.from_host,
          .receive_buffer = static_cast<std::uint32_t>(2'000 + carry_prng_.below(largest)),
          .send_buffer = static_cast<std::uint32_t>(2'000 + carry_prng_.below(600'000))},
      plan, connection, static_cast<CarriedStack&>(*this));
  hand_over.diverted = true;
  hand_over.socket->go_live();
}

void World::agent_answers(std::uint32_t connection) {
  HandOver& hand_over = hand_overs_[connection];
  CarriedTcp* socket = hand_over.socket.get();
  const bool made = hand_over.answer != HandOver::Answer::kRefused;
  bool stays = made && !socket->reset_by_guest();
  if (hand_over.answer == HandOver::Answer::kTakenBack && !socket->has_received()) stays = false;
  if (hand_over.stage != HandOver::Stage::kAsked) {  // Closed meanwhile.
    if (stays) socket->reset();
    hand_over.diverted = false;
    return;
  }
  if (stays) {
    hand_over_succeeds(connection);
    return;
  }
  if (made) {
    hand_over.lost_packets = true;
    hand_over.acknowledged.reset();  // The window that it offered went with it.
  }
  hand_over.diverted = false;
  hand_over.socket.reset();
  hand_over_fails(hand_over);
}

void World::agent_goes() {
  agent_here_ = false;
  engine_.tcp().set_hand_over(flow::HandOverWhen::kNever);
  for (HandOver& hand_over : hand_overs_) {
    if (hand_over.stage != HandOver::Stage::kAsked || hand_over.socket != nullptr) continue;
    ++hand_over.attempt;  // What it was about to do comes to nothing.
    hand_over_fails(hand_over);
  }
}

// As HandOvers::give_up() does it.
void World::hand_over_fails(HandOver& hand_over) {
  ++totals_.hand_overs_failed;
  hand_over.stage = HandOver::Stage::kNone;
  check(host_.give_to(hand_over.id, Host::Holder::kEngine, now_), "the host's socket is there");
  engine_.tcp().on_hand_over_failed(hand_over.id, {now_, sink_});
  if (hand_over.kept.empty()) return;
  for (std::vector<std::uint8_t>& packet : hand_over.kept) {
    engine_.on_returned(returned_.emplace_back(std::move(packet)), {now_, sink_});
  }
  hand_over.kept.clear();
  engine_.end_burst(flow::BurstEnd::kDrained, {now_, sink_});
}

void World::hand_over_succeeds(std::uint32_t connection) {
  HandOver& hand_over = hand_overs_[connection];
  ++totals_.handed_over;
  ++hand_over.handed_over;
  hand_over.stage = HandOver::Stage::kCarried;
  hand_over.to_host = 0;
  hand_over.to_guest = 0;
  hand_over.engine_frames = 0;
  check(host_.give_to(hand_over.id, Host::Holder::kCarrier, now_), "the host's socket is there");
  engine_.tcp().on_handed_over(hand_over.id, {now_, sink_});
  const ConnectionPlan& plan = scenario_.connections[connection];
  const flow::TcpFlow* found =
      engine_.tcp().find({plan.guest, plan.remote, wire::IpProtocol::kTcp});
  check(found != nullptr && std::holds_alternative<flow::HandedOver>(found->state),
        "the engine knows that the connection is handed over");
  const auto kept = std::move(hand_over.kept);
  hand_over.kept.clear();
  for (const std::vector<std::uint8_t>& packet : kept) inject(connection, packet);
  plan_turn(connection);
}

// Invariants.

// Who speaks to the guest may change; the window's right edge goes on from where it was.
std::optional<std::uint32_t> World::note_offer(ByteView frame) {
  const auto ethernet = wire::EthernetView::parse(frame);
  if (!ethernet) return std::nullopt;
  const auto packet = wire::parse_ip_packet(ethernet->ether_type(), ethernet->payload());
  if (!packet || packet->protocol != wire::IpProtocol::kTcp) return std::nullopt;
  const auto segment = wire::TcpView::parse(packet->payload);
  if (!segment) return std::nullopt;
  const std::uint32_t connection =
      connection_of(wire::Endpoint{packet->destination, segment->destination_port()});
  const wire::TcpFlags flags = segment->flags();
  if (!flags.ack() || flags.rst() || guests_[connection].fin_was_sent()) return connection;
  HandOver& hand_over = hand_overs_[connection];
  const wire::SeqNum acknowledgment = segment->acknowledgment();
  // A late SYN may begin another connection of the same name.
  if (flags.syn()) hand_over.acknowledged.reset();
  // One that another overtook says nothing.
  if (hand_over.acknowledged && acknowledgment < *hand_over.acknowledged) return connection;
  const bool scaled = scenario_.connections[connection].window_scale.has_value() && !flags.syn();
  const std::uint32_t window = std::uint32_t{segment->window()}
                               << (scaled ? flow::TcpFlows::kWindowScale : 0);
  const wire::SeqNum edge = acknowledgment + window;
  check(!hand_over.acknowledged || edge >= hand_over.edge, "the window's edge never moves left");
  hand_over.acknowledged = acknowledgment;
  hand_over.edge = edge;
  return connection;
}

void World::note_engine_frame(std::optional<std::uint32_t> connection) {
  if (!connection) return;
  HandOver& hand_over = hand_overs_[*connection];
  if (hand_over.handed_over == hand_over.released) return;
  check(++hand_over.engine_frames == 1, "of what is handed over the engine tells the window only");
}

void World::check_report(const flow::FlowSummary& summary) {
  if (summary.key.protocol != wire::IpProtocol::kTcp) return;
  const std::uint32_t connection = connection_of(summary.key.guest);
  HandOver& hand_over = hand_overs_[connection];
  ++hand_over.reports;
  const ConnectionPlan& plan = scenario_.connections[connection];
  const bool closed = summary.outcome == policy::Outcome::kClosed;
  check(summary.bytes_to_host <= plan.guest_end.to_send &&
            summary.bytes_to_guest <= plan.host_end.to_send,
        "no byte is counted that was never sent");
  if (closed) {
    check(summary.bytes_to_host == plan.guest_end.to_send &&
              summary.bytes_to_guest == plan.host_end.to_send,
          "every byte is counted once");
  }
  if (hand_over.handed_over > 0) {
    check(summary.bytes_to_host == hand_over.from_guest + hand_over.to_host &&
              summary.bytes_to_guest == hand_over.from_host + hand_over.to_guest,
          "what was carried is counted, and what came before it");
  }
}

void World::check_hand_overs() {
  for (std::uint32_t i = 0; i < hand_overs_.size(); ++i) {
    const HandOver& hand_over = hand_overs_[i];
    check(hand_over.stage == HandOver::Stage::kNone || hand_over.stage == HandOver::Stage::kOver,
          "no hand-over is left open");
    check(!hand_over.diverted && hand_over.released == hand_over.handed_over,
          "every name is released");
    // The host hears nothing of those that are refused before it is asked.
    check(asked_[i].ever ? hand_over.reports >= host_.flows_of(i)
                         : hand_over.reports == host_.flows_of(i),
          "every flow is reported once");
  }
}

}  // namespace sluice::sim
