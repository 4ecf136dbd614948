#include "driver/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "base/overloaded.h"
#include "flow/core/drop_reason.h"
#include "telemetry/log.h"
#include "trace/probe.h"

namespace sluice::driver {
namespace {

// To see what is left to be delivered costs a system call for a connection. So much is spent of
// the time that delivering it takes.
constexpr Duration kLookEach = std::chrono::microseconds(20);

}  // namespace

Worker::Worker(sys::Kernel& kernel, sys::EventLoop& loop, WorkerOptions options)
    : loop_(loop),
      engine_(std::move(options.engine), options.seeds, loop.now()),
      outbound_(std::move(options.outbound)),
      link_(std::move(options.link)),
      link_features_(link_->features()),
      tcp_({kernel, loop, outbound_}, engine_.tcp(), options.spill_max),
      dialer_({kernel, loop, outbound_}, engine_.tcp(), tcp_),
      hand_overs_(kernel, loop, engine_, tcp_, std::move(options.agent), options.hand_overs),
      udp_({kernel, loop, outbound_}, engine_),
      loopback_({kernel, loop, outbound_}, engine_, {tcp_, udp_}, hand_overs_),
      ping_({kernel, loop, outbound_}, engine_, udp_),
      dns_({kernel, loop, outbound_}, engine_, std::move(options.resolvers)),
      published_(loop, engine_, tcp_, udp_, std::move(options.published)),
      reporter_(
          loop.now(), options.keep_report, std::move(options.flow_log),
          {.events = options.events, .usage = options.usage, .policy = options.engine.egress}),
      addresses_(std::move(options.addresses)),
      loopback_ports_(std::move(options.loopback)),
      member_(std::move(options.member)),
      reports_always_(options.keep_report),
      audits_(options.engine.audit),
      reports_(options.keep_report) {
  sink_.want_openings(options.openings);
  engine_.tell_sight(options.openings);
  tcp_.set_room(udp_);
  tcp_.set_link(*link_);
  engine_.set_ask(options.ask);
  engine_.tcp().set_call_guest(options.call_guest, loopback_ports_);
  engine_.udp().set_call_guest(options.call_guest, loopback_ports_);
  if (member_) published_.set_group(*member_);
  if (addresses_) engine_.set_host_addresses(addresses_->addresses());
}

Worker::~Worker() = default;

std::expected<void, sys::SysError> Worker::begin() {
  for (const int fd : link_->descriptors()) {
    const auto watched = loop_.add(fd, EPOLLIN, EventTag{EventKind::kLink}.pack());
    if (!watched) return watched;
  }
  if (addresses_) {
    const auto watched =
        loop_.add(addresses_->fd(), EPOLLIN, EventTag{EventKind::kHostAddresses}.pack());
    if (!watched) return watched;
  }
  if (member_) {
    member_->heard_guest(engine_.guest_seen());
    if (member_->is_first()) {
      HostNews news{.resolvers = dns_.resolvers()};
      if (addresses_) news.addresses = addresses_->addresses();
      member_->tell_host(news);
    }
    const int fd = member_->inbox().fd();
    const auto watched = loop_.add(fd, EPOLLIN, EventTag{EventKind::kInbox}.pack());
    if (!watched) return watched;
  }
  const bool is_first = !member_ || member_->is_first();
  if (is_first) loopback_.open(loopback_ports_, loop_.now());
  loopback_ports_.clear();
  return published_.begin();
}

std::expected<void, sys::SysError> Worker::watch(int fd, std::uint32_t number) {
  return loop_.add(fd, EPOLLIN, EventTag{EventKind::kOutside, number}.pack());
}

Instant Worker::next_wakeup(Instant now) {
  Instant room_at = kNever;
  if (engine_.has_deferred()) room_at = link_->has_room() ? now : link_->room_at();
  if (room_at <= now || hand_overs_.carrier().has_ready()) return now;
  return std::min({room_at, engine_.next_wakeup(), tcp_.next_wakeup(), dialer_.next_wakeup(),
                   hand_overs_.next_wakeup(now), loopback_.next_wakeup(), published_.next_wakeup(),
                   reporter_.next_wakeup(now)});
}

void Worker::turn(Instant limit, Outside& outside) {
  Instant now = loop_.now();
  const std::size_t count = loop_.wait(events_, now, std::min(limit, next_wakeup(now))).value_or(0);
  SLUICE_PROBE(poll_returned, trace::kNoTraceFlow, count, 0);
  now = loop_.now();
  if (engine_.has_deferred() && link_->has_room()) {
    engine_.run_deferred({now, sink_});
    settle(now);
  }
  for (std::size_t i = 0; i < count; ++i) dispatch(events_[i], now, outside);
  if (engine_.next_wakeup() <= now) engine_.on_timers({now, sink_});
  tcp_.on_time({now, sink_});
  if (dialer_.next_wakeup() <= now) [[unlikely]]
    dialer_.on_time({now, sink_});
  hand_overs_.on_time(settle(now));
  if (loopback_.next_wakeup() <= now) [[unlikely]]
    loopback_.on_time(now);
  hand_overs_.carrier().run_ready({now, sink_});
  settle(now);
  if (published_.next_wakeup() <= now) published_.on_time(now);
  reporter_.flush_if_due(now);
  link_->flush();
  tcp_.prepare();
  if (member_) [[unlikely]]
    tell_others();
}

void Worker::dispatch(const epoll_event& event, Instant now, Outside& outside) {
  const EventTag tag = EventTag::unpack(event.data.u64);
  switch (tag.kind) {
    case EventKind::kLink:
      if (reads_link()) on_link(link::Link::Depth::kAsExpected, settle(now), outside);
      return;
    case EventKind::kTcp: tcp_.on_event(tag, event.events, {now, sink_}); return;
    case EventKind::kDial: dialer_.on_event(tag, event.events, {now, sink_}); return;
    case EventKind::kUdp:
      udp_.on_event(tag, event.events, settle(now));
      settle(now);
      return;
    case EventKind::kPing: ping_.on_event(tag, event.events, {now, sink_}); return;
    case EventKind::kDnsUdp:
    case EventKind::kDnsTcp: dns_.on_event(tag, event.events, {now, sink_}); return;
    case EventKind::kListener: published_.on_event(tag, {now, sink_}); return;
    case EventKind::kGuestDatagrams:
      loopback_.datagrams().on_event(tag, settle(now));
      settle(now);
      return;
    case EventKind::kGuestListener:
    case EventKind::kGuestCall: loopback_.on_event(tag, {now, sink_}); return;
    case EventKind::kCarriedGuest:
    case EventKind::kCarriedHost: hand_overs_.carrier().on_event(tag, event.events); return;
    case EventKind::kAgent:
      // What the guest sent by the tap was there before it was turned away from it, and a flow may
      // have ended in this very turn.
      if (reads_link()) on_link(link::Link::Depth::kToTheEnd, settle(now), outside);
      hand_overs_.on_agent(settle(now));
      settle(now);
      return;
    case EventKind::kHostAddresses: on_host_addresses(); return;
    case EventKind::kInbox: read_inbox(outside); return;
    case EventKind::kOutside: outside.on_ready(tag.index); return;
  }
}

[[gnu::noinline]] void Worker::on_link(link::Link::Depth depth, Settled settled, Outside& outside) {
  const Instant now = settled.now;
  follow_resolvers(now);
  const link::Link::Burst burst = link_->read_burst(depth);
  if (const wire::LinkFeatures features = link_->features(); features != link_features_)
      [[unlikely]] {
    link_features_ = features;
    engine_.set_link_features(features);
  }
  const bool shared = member_.has_value();
  std::span<const wire::FrameIn> own = burst.frames;
  if (shared) {
    own = member_->keep_own(burst.frames);
    member_->pass_on_rest(link_->is_intact());
  }
  for (const wire::FrameIn& frame : own) {
    engine_.on_frame(frame, {now, sink_});
  }
  engine_.end_burst(burst.drained ? flow::BurstEnd::kDrained : flow::BurstEnd::kMoreFollows,
                    {now, sink_});
  settle(now);
  if (shared && member_->is_blocked()) pause_link();
  if (burst.gone) [[unlikely]] {
    close_link();
    outside.on_link_gone();
  }
}

FramesWritten Worker::write_frames(Instant now) {
  wire::FrameBatch& frames = sink_.frames();
  if (frames.empty()) return {now, sink_};
  for (std::size_t lost = link_->write(frames); lost > 0; --lost) {
    engine_.drops().count(flow::DropReason::kLinkWriteFailed);
  }
  SLUICE_PROBE(frames_flushed, trace::kNoTraceFlow, frames.size(), 0);
  frames.clear();
  return {now, sink_};
}

// Carries out all actions, those that their results bring included.
[[gnu::noinline]] Settled Worker::settle(Instant now) {
  auto& actions = sink_.actions();
  const Overloaded run{
      [&](const flow::ConnectTcp action) {
        if (action.by_way) [[unlikely]] {
          dialer_.dial(action, {now, sink_});
        } else {
          tcp_.connect(action, {now, sink_});
        }
        write_frames(now);  // The answer need not wait for what follows.
      },
      [&](const flow::StashTcp action) { tcp_.stash(action, {now, sink_}); },
      [&](const flow::WriteTcp action) { tcp_.write(action, {now, sink_}); },
      [&](const flow::PeekTcp action) {
        if (!link_->has_room() && engine_.tcp().defer(action)) [[unlikely]]
          return;
        tcp_.peek(action, write_frames(now));
        write_frames(now);  // The guest need not wait for what follows.
      },
      [&](const flow::DiscardTcp action) { tcp_.discard(action, {now, sink_}); },
      [&](const flow::ShutdownTcp action) { tcp_.shutdown(action); },
      [&](const flow::ProbeTcp action) { tcp_.probe(action, sink_); },
      [&](const flow::CloseTcp action) {
        loopback_.close(action);
        if (!hand_overs_.close(action) && !dialer_.close(action.flow)) {
          tcp_.close(action, now);
        }
      },
      [&](const flow::HandOverTcp& action) {
        hand_overs_.hand_over(flow::HandOverTcp(action), {now, sink_});
      },
      [&](const flow::DivertTcp action) { hand_overs_.divert(action, now); },
      [&](const flow::ReleaseTcp action) { hand_overs_.release(action); },
      [&](const flow::CallGuest& action) { loopback_.call(flow::CallGuest(action), {now, sink_}); },
      [&](const flow::JoinTcp action) { loopback_.join(action, {now, sink_}); },
      [&](const flow::AskPolicy action) { ask(action, now); },
      [&](const flow::WithdrawAsk action) { withdraw(action.flow); },
      [](const flow::FindTarget&) {},  // The engine's own.
      [&](const flow::OpenUdp action) { udp_.open(action, {now, sink_}); },
      [&](const flow::OpenGuestUdp action) { loopback_.call(action, {now, sink_}); },
      [&](const flow::SendUdp action) { udp_.send(action, {now, sink_}); },
      [&](const flow::CloseUdp action) { udp_.close(action); },
      [&](const flow::AnswerGuest& action) { loopback_.datagrams().answer(action); },
      [&](const flow::OpenPing action) { ping_.open(action, {now, sink_}); },
      [&](const flow::SendPing action) { ping_.send(action, {now, sink_}); },
      [&](const flow::ClosePing action) { ping_.close(action); },
      [&](const flow::ReportFlow action) {
        count(action.summary);
        report(action.summary);
      }};
  std::size_t done = 0;
  do {
    // By value: carrying one out may add more and move them.
    for (; done < actions.size(); ++done) {
      if (engine_.serve_own(actions[done], {now, sink_})) [[unlikely]] {
        write_frames(now);  // They borrow the connection's answers.
      } else {
        std::visit(run, actions[done]);
      }
    }
    udp_.flush({now, sink_});
    loopback_.datagrams().flush();
    dns_.run_actions({now, sink_});
  } while (done < actions.size());
  sink_.clear_actions();
  if (!engine_.refused_queries().empty() || !engine_.sight().empty()) [[unlikely]]
    tell_seen();
  write_frames(now);
  return {now, sink_};
}

void Worker::tell_seen() {
  // Where they are only noted, the flows that follow say it.
  for (const flow::RefusedQuery& query : engine_.refused_queries()) {
    if (audits_) break;
    refused_.add(query.name.to_text(), policy::reason_id(query.verdict));
    rule_hits_.count(query.rule);
  }
  flow::Sight& sight = engine_.sight();
  Seen seen{.generation = reporter_.rules().generation(),
            .audited = audits_,
            .refused = std::exchange(engine_.refused_queries(), {}),
            .answered = std::exchange(sight.queries, {}),
            .claims = std::exchange(sight.claims, {}),
            .queries_left_out = std::exchange(sight.queries_left_out, 0),
            .claims_left_out = std::exchange(sight.claims_left_out, 0)};
  if (!sight.wanted) return;
  if (member_ && !member_->is_first()) {
    member_->tell(std::move(seen));
  } else {
    reporter_.add(seen, loop_.now());
  }
}

void Worker::report(flow::FlowSummary summary) {
  summary.generation = reporter_.rules().generation();
  if (member_ && !member_->is_first()) {
    if (reports_) member_->report(summary);
  } else {
    tell(summary);
  }
}

// The first's, also of what others have reported to it.
void Worker::tell(const flow::FlowSummary& summary) {
  const std::string_view name = name_of(summary);
  if (summary.by.would_refuse != policy::Verdict::kAccepted && !summary.opening) [[unlikely]] {
    const bool known = engine_.name_of(summary.by).has_value();
    refused_.add(known ? fmt::format("{}:{}", name, summary.key.remote.port.value)
                       : wire::to_string(summary.key.remote),
                 policy::reason_id(summary.by.would_refuse));
  }
  reporter_.add(summary, name);
}

// The one by which it is known, or else the one by which the guest learnt its address last.
std::string_view Worker::name_of(const flow::FlowSummary& summary) {
  const auto name = engine_.name_of(summary.by);
  if (!name) return engine_.name_of(summary.key.remote.address);
  name_ = name->to_text();
  return name_;
}

void Worker::begin_drain(Outside& outside) {
  const Instant now = loop_.now();
  if (reads_link()) on_link(link::Link::Depth::kToTheEnd, settle(now), outside);
  engine_.tcp().begin_drain(now);
  if (member_) tell_others();
}

void Worker::close_link() {
  if (std::exchange(link_gone_, true)) return;
  for (const int fd : link_->descriptors()) (void)loop_.remove(fd);
}

Undelivered Worker::undelivered() {
  const Instant now = loop_.now();
  hand_overs_.carrier().note_waiting();
  const flow::TcpFlows::Undelivered left = engine_.tcp().undelivered(now);
  return {.flows = left.flows,
          .bytes = left.bytes,
          .late_resets = tcp_.has_late_resets(),
          .until = left.until,
          .look_again = now + kLookEach * static_cast<std::int64_t>(engine_.tcp().size())};
}

std::vector<flow::TcpFlows::GivenUp> Worker::finish() {
  const Instant now = loop_.now();
  hand_overs_.carrier().note_waiting();
  auto given_up = engine_.shut_down({now, sink_});
  settle(now);
  reporter_.finish();
  link_->flush();
  if (member_) tell_others();
  return given_up;
}

[[gnu::cold]] void Worker::on_host_addresses() {
  const auto news = addresses_->read();
  if (!news) {
    telemetry::log_error("{}; changes of the host's addresses are not seen any more",
                         news.error().describe());
    (void)loop_.remove(addresses_->fd());
    return;
  }
  for (const wire::Prefix& prefix : news->nat64) engine_.add_nat64_prefix(prefix);
  if (!news->addresses_changed) return;
  engine_.set_host_addresses(addresses_->addresses());
  if (member_) member_->tell_host({.addresses = addresses_->addresses()});
}

}  // namespace sluice::driver
