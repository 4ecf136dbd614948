// What is still to be delivered when the command has ended, and what becomes of the rest.
//
// The guest's kernel goes on with the sockets of processes that have ended, as any kernel does: it
// sends what they wrote, then a FIN. So do we, for as long as a kernel would: an orphan whose peer
// takes nothing is given up after several probes. A connection of a process that lives on
// does not hold us while it is still.
#include <algorithm>

#include "base/overloaded.h"
#include "flow/tcp/tcp_flows.h"

namespace sluice::flow {
namespace {

// With its window open the guest sends at once what it has, within the very call that tells it so.
constexpr Duration kQuiet = std::chrono::milliseconds(200);
// What Linux gives an orphan whose peer's window stays closed: probes from 0.2 s on, each after
// twice the time of the one before, until that would be 2 min (tcp_orphan_retries).
constexpr Duration kPatience = std::chrono::seconds(204);

enum class Rest : std::uint8_t {
  kNone,   // The host has, or its kernel, all that the guest will ever say.
  kMaybe,  // The guest may have more, and nothing keeps it from sending it.
  kWaits,  // Bytes are known to wait, or the guest may wait for us.
};

[[nodiscard]] Rest rest_of_relaying(const TcpFlow& flow, const Receiver& rx) {
  if (rx.buffered != 0 || rx.write_size != 0 || rx.has_chain() ||
      flow.hand_over == HandOverStage::kAsked) {
    return Rest::kWaits;
  }
  if (rx.guest_finished) return Rest::kNone;
  const bool closed = rx.window_edge - rx.received < std::int32_t{flow.guest.mss};
  return rx.has_gap() || closed ? Rest::kWaits : Rest::kMaybe;
}

[[nodiscard]] Rest rest_of(const TcpFlow& flow) {
  // Nobody waits for a connection any more that does not stand yet. One that stands may have bytes
  // on their way to us.
  return std::visit(
      Overloaded{
          [](const Connecting&) { return Rest::kNone; },
          [](const SynAckSent&) { return Rest::kMaybe; },
          [](const SynSent&) { return Rest::kNone; },
          [&](const Relaying& state) { return rest_of_relaying(flow, state.rx); },
          [](const Lingering&) { return Rest::kNone; },
          [](const HandedOver& state) {
            if (!state.over && state.waiting != 0) return Rest::kWaits;
            return state.over || state.host_shut ? Rest::kNone : Rest::kMaybe;
          },
          [](const Deciding&) { return Rest::kNone; },
          [](const Finding&) { return Rest::kNone; },
          [](const Joining&) { return Rest::kNone; },
          [](const Refused&) { return Rest::kNone; },
          [&](const Gated&) { return flow.kept->rest().empty() ? Rest::kMaybe : Rest::kWaits; },
      },
      flow.state);
}

[[nodiscard]] std::uint64_t bytes_waiting(const TcpFlow& flow) {
  if (const auto* relaying = std::get_if<Relaying>(&flow.state)) return relaying->rx.buffered;
  if (flow.kept != nullptr) return flow.kept->rest().size();
  const auto* carried = std::get_if<HandedOver>(&flow.state);
  return carried == nullptr ? 0 : carried->waiting;
}

// Whether a FIN to the host would tell no lie.
[[nodiscard]] bool host_has_all(const TcpFlow& flow) {
  if (const auto* relaying = std::get_if<Relaying>(&flow.state)) return relaying->rx.host_shut;
  const auto* carried = std::get_if<HandedOver>(&flow.state);
  return carried != nullptr && carried->host_shut;
}

}  // namespace

TcpFlows::Undelivered TcpFlows::undelivered(Instant now) {
  Undelivered left;
  flows_.for_each([&](SlabHandle, const TcpFlow& flow) {
    const Rest rest = rest_of(flow);
    if (rest == Rest::kNone) return;
    const Instant until =
        std::max(flow.moved, drain_began_) + (rest == Rest::kWaits ? kPatience : kQuiet);
    if (now >= until) return;
    ++left.flows;
    left.bytes += bytes_waiting(flow);
    left.until = std::min(left.until, until);
  });
  return left;
}

std::vector<TcpFlows::GivenUp> TcpFlows::shut_down(Turn turn) {
  std::vector<GivenUp> all;
  flows_.for_each([&](SlabHandle handle, TcpFlow& flow) {
    const TcpId id{handle};
    if (has_socket(flow.state)) turn.out.push(CloseTcp{id, !host_has_all(flow)});
    const bool moving = turn.now < std::max(flow.moved, drain_began_) + kQuiet;
    const Rest rest = rest_of(flow);
    const bool given_up = rest == Rest::kWaits || (rest == Rest::kMaybe && moving);
    if (given_up) {
      admission_.drops().count(DropReason::kTcpGivenUp);
      all.push_back({flow.key, bytes_waiting(flow)});
      // What waits with us was counted when we took it.
      if (const auto* relaying = std::get_if<Relaying>(&flow.state)) {
        flow.bytes_to_host -= std::min<std::uint64_t>(flow.bytes_to_host, relaying->rx.buffered);
      }
    }
    remove(id, given_up ? policy::Outcome::kGivenUp : policy::Outcome::kOpen, turn);
  });
  return all;
}

void TcpFlows::on_carried_waiting(TcpId id, std::uint64_t bytes, bool host_shut) {
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  if (auto* state = std::get_if<HandedOver>(&flow->state)) {
    state->waiting = bytes;
    state->host_shut = host_shut;
  }
}

}  // namespace sluice::flow
