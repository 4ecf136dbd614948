#include "world.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/overloaded.h"
#include "check.h"
#include "pattern.h"
#include "wire/checksum.h"
#include "wire/ip/icmp.h"
#include "wire/ip/icmpv6.h"
#include "wire/print/pretty.h"
#include "wire/transport/udp.h"

namespace sluice::sim {
namespace {

// When the last connection must be through.
constexpr Duration kPatience = std::chrono::minutes(20);
constexpr std::uint64_t kEventsMax = 1'000'000;

[[nodiscard]] flow::EngineOptions engine_options(const Scenario& scenario) {
  flow::EngineOptions options;
  options.network.mtu = scenario.mtu;
  options.link = {.checksum = scenario.checksum_offload, .tso = scenario.tso, .uso = scenario.tso};
  // Of a connection whose RST was lost nobody may ever hear again.
  options.tcp.idle_limit = std::chrono::minutes(5);
  return options;
}

// Hand-overs came later: the seeds that had failed before mean what they did, and this number is
// chosen so that none of them hands anything over.
constexpr std::uint64_t kHandOverSalt = 0x6861'6ee2;
constexpr std::uint64_t kEndSalt = 0x656e'647c;     // The same of commands that end in the midst,
constexpr std::uint64_t kUrgentSalt = 0x7572'6700;  // of urgent bytes,
constexpr std::uint64_t kAskSalt = 0x6173'6b06;     // of questions,
constexpr std::uint64_t kCutSalt = 0x6375'7400;     // and of frames that come in pieces.

[[nodiscard]] Scenario scenario_of(Prng& prng, Prng& carry_prng, Prng urgent_prng) {
  Scenario scenario = draw_scenario(prng);
  draw_hand_over(carry_prng, scenario);
  draw_urgent(urgent_prng, scenario);
  return scenario;
}

}  // namespace

World::World(std::uint64_t seed, bool verbose)
    : seed_(seed),
      verbose_(verbose),
      prng_(seed),
      carry_prng_(seed ^ kHandOverSalt),
      ask_prng_(seed ^ kAskSalt),
      cut_prng_(seed ^ kCutSalt),
      scenario_(scenario_of(prng_, carry_prng_, Prng(seed ^ kUrgentSalt))),
      faults_(scenario_.link.faults),
      now_(std::chrono::seconds(1000 + static_cast<std::int64_t>(prng_.below(100'000)))),
      start_(now_),
      engine_(engine_options(scenario_),
              {.table = {}, .sequence = {seed, seed ^ 0x5eed}, .dns = {1, 2}}, now_),
      host_(scenario_, engine_.tcp(), sink_,
            [this](Instant at, const Host::Event& event) {
              schedule(at, EventKind::kHost, 0, event);
            }),
      hand_overs_(scenario_.connections.size()),
      asked_(scenario_.connections.size()) {
  draw_ask(ask_prng_, scenario_);
  begin_asking();
  for (std::uint32_t i = 0; i < scenario_.connections.size(); ++i) {
    const ConnectionPlan& plan = scenario_.connections[i];
    guests_.emplace_back(plan, i, static_cast<GuestStack&>(*this));
    schedule(now_ + plan.starts_after, EventKind::kGuestStart, i);
  }
  for (std::uint32_t i = 0; i < scenario_.datagrams; ++i) {
    schedule(now_ + std::chrono::microseconds(prng_.below(100'000)), EventKind::kDatagram, i);
  }
  for (std::uint32_t i = 0; i < scenario_.pings; ++i) {
    schedule(now_ + std::chrono::microseconds(prng_.below(100'000)), EventKind::kPing, i);
  }
  host_.set_guest_view([this](std::uint32_t connection) {
    const GuestTcp& guest = guests_[connection];
    Host::GuestState state{guest.fin_was_sent(), guest.sent_reset(),
                           guest.finished() || asked_[connection].refused};
    if (hand_overs_[connection].attempt == 0 && !asked_[connection].ever)
      state.reset_at = guest.reset_at();
    return state;
  });
  host_.set_carrier([this](std::uint32_t connection) { plan_turn(connection); });
  Prng end_prng(seed ^ kEndSalt);
  if (const auto after = draw_end_of_command(end_prng, scenario_)) {
    schedule(now_ + *after, EventKind::kCommandEnds);
  }
  const HandOverPlan& plan = scenario_.hand_over;
  if (plan.when == flow::HandOverWhen::kNever) return;
  schedule(now_ + plan.ready_after, EventKind::kAgentReady);
  if (plan.ends_after) {
    schedule(now_ + plan.ready_after + *plan.ends_after, EventKind::kAgentGone);
  }
}

void World::schedule(Instant at, EventKind kind, std::uint32_t a, const Host::Event& host) {
  events_.push({at, order_++, kind, a, host});
}

void World::wake_at(std::uint32_t connection, Instant when) {
  if (when == kNever) return;
  schedule(std::max(when, now_), EventKind::kGuestWake, connection);
}

void World::run() {
  try {
    run_to_the_end();
  } catch (const Failure&) {
    if (verbose_) describe_state();
    throw;
  }
}

void World::describe_state() {
  for (std::uint32_t i = 0; i < guests_.size(); ++i) {
    const GuestTcp& guest = guests_[i];
    const Host::Result& host = host_.result(i);
    const ConnectionPlan& plan = scenario_.connections[i];
    fmt::print(
        "{}: guest phase {} received {} of {} timeouts {}; host open {} reset {} end {} received "
        "{} of {}\n",
        wire::to_string(plan.guest), static_cast<int>(guest.phase()), guest.received(),
        plan.host_end.to_send, guest.timeouts(), host.was_open, host.peer_reset, host.got_end,
        host.received, plan.guest_end.to_send);
  }
  fmt::print("{} host sockets, {} flows of TCP\n", host_.open_sockets(), engine_.tcp().size());
}

void World::run_to_the_end() {
  const auto done = [this] {
    for (std::uint32_t i = 0; i < guests_.size(); ++i) {
      // A client may go before the guest's listener has heard of it.
      const bool never_knew = scenario_.connections[i].inbound &&
                              guests_[i].phase() == GuestTcp::Phase::kIdle &&
                              host_.result(i).peer_reset;
      if (!guests_[i].finished() && !never_knew) return false;
    }
    return host_.open_sockets() == 0 && engine_.tcp().size() == 0;
  };
  while (!done()) {
    check(now_ < start_ + kPatience, "every connection ends in time");
    check(totals_.events < kEventsMax, "nothing goes round in circles");
    step();
    if (!ended_ || !drained()) continue;
    shut_down();
    totals_.urgent_stops = host_.urgent_stops();
    return;
  }
  totals_.urgent_stops = host_.urgent_stops();
  drain();
  check_ends();
  check_hand_overs();
  check_asked();
}

// Everything that is due at the next moment.
void World::step() {
  Instant next = engine_.next_wakeup();
  if (!events_.empty()) next = std::min(next, events_.top().at);
  if (engine_.has_deferred()) next = now_;
  check(next != kNever, "something is going to happen");
  check(next >= now_ || next == engine_.next_wakeup(), "time does not run backwards");
  now_ = std::max(now_, next);
  if (engine_.has_deferred()) {
    engine_.run_deferred({now_, sink_});
    settle();
  }
  while (!events_.empty() && events_.top().at <= now_) {
    const Event event = events_.top();
    events_.pop();
    ++totals_.events;
    if (event.kind == EventKind::kFrameToEngine) {
      burst_.push_back(event.a);
      continue;
    }
    dispatch(event);
    if (prng_.below(4) != 0) settle();
  }
  settle();
  run_bursts();
  if (engine_.next_wakeup() <= now_) {
    engine_.on_timers({now_, sink_});
    settle();
  }
  check_flows();
}

// The frames that have arrived, in one burst or several that follow at once.
void World::run_bursts() {
  if (burst_.empty()) return;
  const std::size_t burst_max = prng_.below(2) == 0 ? burst_.size() : 1 + prng_.below(8);
  std::size_t in_burst = 0;
  for (const std::uint32_t frame : burst_) {
    feed(frames_[frame]);
    if (++in_burst < burst_max) continue;
    in_burst = 0;
    engine_.end_burst(flow::BurstEnd::kMoreFollows, {now_, sink_});
    settle();
    cut_.clear();
  }
  engine_.end_burst(flow::BurstEnd::kDrained, {now_, sink_});
  settle();
  cut_.clear();
  for (const std::uint32_t frame : burst_) free_frames_.push_back(frame);
  burst_.clear();
}

// In one piece, or with a rest that is the guest's and gone with its burst.
void World::feed(const Frame& frame) {
  if (frame.bytes.size() < 2 || cut_prng_.below(2) == 0) {
    engine_.on_frame(frame.bytes, frame.offload, {now_, sink_});
    return;
  }
  const std::size_t head_max = std::min<std::size_t>(frame.bytes.size() - 1, 300);
  cut_.emplace_back(frame.bytes, 1 + cut_prng_.below(head_max), 1 + cut_prng_.below(2000));
  engine_.on_frame(cut_.back().as_it_came(frame.offload), {now_, sink_});
}

void World::dispatch(const Event& event) {
  switch (event.kind) {
    case EventKind::kFrameToEngine: return;
    case EventKind::kFrameToGuest:
      deliver_to_guest(frames_[event.a]);
      free_frames_.push_back(event.a);
      return;
    case EventKind::kGuestStart: start_connection(event.a); return;
    case EventKind::kGuestWake: guests_[event.a].on_wake(); return;
    case EventKind::kHost: host_.on_event(event.host, now_); return;
    case EventKind::kDatagram: send_datagram(event.a); return;
    case EventKind::kPing: send_ping(event.a); return;
    case EventKind::kFrameToCarried:
      deliver_to_carried(frames_[event.a], event.host.index);
      free_frames_.push_back(event.a);
      return;
    case EventKind::kCarriedWake: {
      CarriedTcp* socket = hand_overs_[event.a].socket.get();
      if (socket != nullptr) socket->on_wake();
      return;
    }
    case EventKind::kCarry: carry(event.a); return;
    case EventKind::kAgentActs:
      if (hand_overs_[event.a].attempt == event.host.generation) agent_acts(event.a);
      return;
    case EventKind::kAgentAnswers:
      if (hand_overs_[event.a].attempt == event.host.generation) agent_answers(event.a);
      return;
    case EventKind::kAgentReady:
      agent_here_ = true;
      engine_.tcp().set_hand_over(scenario_.hand_over.when);
      return;
    case EventKind::kAgentGone: agent_goes(); return;
    case EventKind::kCommandEnds: end_command(); return;
    case EventKind::kVerdict: answer(event.a, event.host.generation); return;
    case EventKind::kUdpReply: {
      Reply& reply = replies_[event.a];
      settle();
      engine_.udp().on_received(reply.udp, reply.from, std::nullopt, reply.bytes, 0, {now_, sink_});
      settle();
      return;
    }
    case EventKind::kPingReply: {
      Reply& reply = replies_[event.a];
      engine_.ping().on_reply(reply.ping, reply.from.address, reply.bytes, {now_, sink_});
      return;
    }
  }
}

void World::start_connection(std::uint32_t number) {
  if (ended_) return;
  const ConnectionPlan& plan = scenario_.connections[number];
  if (!plan.inbound) {
    guests_[number].start();
    return;
  }
  const auto id = engine_.tcp().on_inbound(plan.remote, plan.guest, 64 * 1024, {now_, sink_});
  check(id.has_value(), "a published port accepts");
  host_.adopt(*id, number, now_);
}

void World::settle() {
  auto& actions = sink_.actions();
  for (std::size_t done = 0; done < actions.size(); ++done) {
    const flow::Action action = actions[done];
    carry_out(action);
  }
  check(engine_.dns_actions().empty(), "nobody asked for a name");
  sink_.clear_actions();
  collect_frames();
  returned_.clear();
}

void World::carry_out(const flow::Action& action) {
  std::visit(Overloaded{[&](const flow::ConnectTcp& a) { host_.connect(a, now_); },
                        [&](const flow::StashTcp& a) { host_.stash(a); },
                        [&](const flow::WriteTcp& a) { host_.write(a, now_); },
                        [&](const flow::PeekTcp& a) {
                          host_.peek(a, now_);
                          collect_frames();
                        },
                        [&](const flow::DiscardTcp& a) { host_.discard(a, now_); },
                        [&](const flow::ShutdownTcp& a) { host_.shutdown(a, now_); },
                        [&](const flow::CloseTcp& a) { on_close(a); },
                        [&](const flow::ProbeTcp& a) { host_.probe(a); },
                        [&](const flow::HandOverTcp& a) { on_hand_over(a); },
                        [&](const flow::DivertTcp& a) { on_divert(a); },
                        [&](const flow::ReleaseTcp& a) { on_release(a); },
                        [&](const flow::CallGuest&) { check(false, "nobody calls the guest"); },
                        [&](const flow::OpenGuestUdp&) { check(false, "nobody calls the guest"); },
                        [&](const flow::JoinTcp&) { check(false, "nobody calls the guest"); },
                        [&](const flow::AnswerGuest&) { check(false, "nobody calls a listener"); },
                        [&](const flow::OpenUdp&) { ++udp_sockets_; },
                        [&](const flow::SendUdp& a) { on_send_udp(a); },
                        [&](const flow::CloseUdp&) { --udp_sockets_; },
                        [&](const flow::OpenPing&) { ++ping_sockets_; },
                        [&](const flow::SendPing& a) { on_send_ping(a); },
                        [&](const flow::ClosePing&) { --ping_sockets_; },
                        [&](const flow::AskPolicy& a) { on_ask(a); },
                        [&](const flow::WithdrawAsk& a) { on_withdraw(a); },
                        [&](const flow::FindTarget&) { check(false, "no names decide"); },
                        [&](const flow::ReportFlow& a) {
                          check_report(a.summary);
                          if (verbose_) {
                            fmt::print("{:.6f} flow ended: {}, {} out, {} in\n",
                                       std::chrono::duration<double>(now_ - start_).count(),
                                       policy::to_string(a.summary.outcome),
                                       a.summary.bytes_to_host, a.summary.bytes_to_guest);
                          }
                        }},
             action);
}

}  // namespace sluice::sim
