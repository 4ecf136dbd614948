// Connections of a run that were handed over: their packets' way to the socket in the guest's
// kernel, and what joins that to the host's (driver/fast_path/carrier).
#include <fmt/core.h>

#include <algorithm>

#include "check.h"
#include "wire/print/pretty.h"
#include "world.h"

namespace sluice::sim {
namespace {

// The path within the guest's kernel.
constexpr Duration kWithinKernel = std::chrono::microseconds(40);

}  // namespace

// Packets of the guest's on their way to the socket.

bool World::takes_new_way(std::uint32_t connection, wire::TcpFlags flags) {
  if (!hand_overs_[connection].diverted || flags.syn()) return false;
  return carry_prng_.below(1000) >= scenario_.hand_over.astray;
}

void World::to_carried(std::uint32_t frame, std::uint32_t connection) {
  if (verbose_) {
    fmt::print("{:.6f} ) {}\n", std::chrono::duration<double>(now_ - start_).count(),
               wire::pretty_frame(frames_[frame].bytes));
  }
  last_to_carried_ = std::max(last_to_carried_, now_ + draw_within(kWithinKernel));
  schedule(last_to_carried_, EventKind::kFrameToCarried, frame, {.index = connection});
}

void World::inject(std::uint32_t connection, ByteView packet) {
  ++totals_.injected;
  const std::uint32_t number = new_frame();
  std::vector<std::uint8_t>& bytes = frames_[number].bytes;
  bytes.assign(wire::kEthernetHeaderSize, 0);
  wire::emit_ethernet(MutableBytes(bytes).first<wire::kEthernetHeaderSize>(),
                      engine_.network().gateway_mac, engine_.network().guest_mac,
                      packet.front() >> 4 == 4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6);
  bytes.insert(bytes.end(), packet.begin(), packet.end());
  to_carried(number, connection);
}

void World::deliver_to_carried(const Frame& frame, std::uint32_t connection) {
  HandOver& hand_over = hand_overs_[connection];
  if (hand_over.socket == nullptr) return;  // Taken back.
  const auto ethernet = wire::EthernetView::parse(frame.bytes);
  check(ethernet.has_value(), "a packet has its Ethernet header");
  const auto packet = wire::parse_ip_packet(ethernet->ether_type(), ethernet->payload());
  check(packet.has_value(), "whole IP packets are diverted");
  const auto segment = wire::TcpView::parse(packet->payload);
  check(segment.has_value(), "whole TCP segments are diverted");
  const ConnectionPlan& plan = scenario_.connections[connection];
  check(plan.guest == wire::Endpoint{packet->source, segment->source_port()} &&
            plan.remote == wire::Endpoint{packet->destination, segment->destination_port()},
        "packets are diverted to their own connection");
  hand_over.socket->on_segment(*segment);
  plan_turn(connection);
  settle_closing(hand_over);
}

void World::wake_carried_at(std::uint32_t connection, Instant when) {
  schedule(std::max(when, now_), EventKind::kCarriedWake, connection);
}

// The carrier.

void World::plan_turn(std::uint32_t connection) {
  HandOver& hand_over = hand_overs_[connection];
  if (hand_over.turn_planned || hand_over.stage != HandOver::Stage::kCarried) return;
  hand_over.turn_planned = true;
  schedule(now_ + draw_within(scenario_.hand_over.turn_max), EventKind::kCarry, connection);
}

// As relay::Pair does it.
void World::carry(std::uint32_t connection) {
  HandOver& hand_over = hand_overs_[connection];
  hand_over.turn_planned = false;
  if (hand_over.stage != HandOver::Stage::kCarried) return;
  CarriedTcp& guest = *hand_over.socket;
  const flow::TcpId id = hand_over.id;
  const Host::SocketState before = host_.state_of(id);
  if (before.reset) {
    guest.reset();
    end_carrying(hand_over, policy::Outcome::kResetByHost);
    return;
  }
  const std::uint64_t share = 1 + carry_prng_.below(400'000);
  const std::uint64_t forth = std::min(guest.readable(), share);
  const std::uint64_t sent = forth == 0 ? 0 : host_.send(id, forth, now_);
  guest.read(sent);
  hand_over.to_host += sent;
  if (guest.reset_by_guest()) {
    end_carrying(hand_over, policy::Outcome::kResetByGuest);
    return;
  }
  const std::uint64_t back = std::min({before.readable, guest.writable(), share});
  if (back > 0) {
    guest.write(back);
    host_.receive(id, back, now_);
    hand_over.to_guest += back;
  }
  engine_.tcp().on_carried(id, hand_over.to_host, hand_over.to_guest, now_);
  if (guest.end_received() && guest.unread() == 0 && !before.shut) host_.pass_end(id, now_);
  const Host::SocketState after = host_.state_of(id);
  const bool end_passed = after.end_arrived && after.head == after.arrived;
  if (end_passed) guest.shutdown();
  if (end_passed && after.shut) {
    hand_over.stage = HandOver::Stage::kClosing;
    host_.close({id, false}, now_);
    settle_closing(hand_over);
  } else if ((sent > 0 && sent == forth && guest.readable() > 0) ||
             (back > 0 && after.readable > 0 && guest.writable() > 0)) {
    plan_turn(connection);
  }
}

void World::end_carrying(HandOver& hand_over, policy::Outcome outcome) {
  hand_over.stage = HandOver::Stage::kOver;
  host_.close({hand_over.id, true}, now_);
  engine_.tcp().on_carried(hand_over.id, hand_over.to_host, hand_over.to_guest, now_);
  engine_.tcp().on_carried_to_end(hand_over.id, outcome, {now_, sink_});
}

// Both ends are passed on, but a closed socket still has to send what it was given, and needs the
// guest's answers: its packets must keep their way until then.
void World::settle_closing(HandOver& hand_over) {
  if (hand_over.stage != HandOver::Stage::kClosing) return;
  const CarriedTcp& guest = *hand_over.socket;
  if (!guest.all_acknowledged() && !guest.reset_by_guest()) return;
  hand_over.stage = HandOver::Stage::kOver;
  engine_.tcp().on_carried_to_end(
      hand_over.id,
      guest.reset_by_guest() ? policy::Outcome::kResetByGuest : policy::Outcome::kClosed,
      {now_, sink_});
}

}  // namespace sluice::sim
