#include "driver/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <variant>

#include "base/overloaded.h"
#include "flow/core/drop_reason.h"
#include "telemetry/log.h"
#include "telemetry/text.h"
#include "trace/probe.h"

namespace sluice::driver {
namespace {

// When people begin to wonder why the command has not ended yet.
constexpr Duration kTellAfter = std::chrono::seconds(5);
// To see what is left to be delivered costs a system call for a connection. So much is spent of
// the time that delivering it takes.
constexpr Duration kLookEach = std::chrono::microseconds(20);

[[nodiscard]] std::string connections(std::size_t count) {
  return count == 1 ? "1 connection" : fmt::format("{} connections", count);
}

}  // namespace

Worker::Worker(sys::Kernel& kernel, sys::EventLoop& loop, WorkerOptions options)
    : loop_(loop),
      engine_(std::move(options.engine), options.seeds, loop.now()),
      link_(std::move(options.link)),
      tcp_(kernel, loop, engine_.tcp()),
      fast_path_(kernel, loop, engine_, tcp_, std::move(options.agent), options.fast_path),
      udp_(kernel, loop, engine_),
      ping_(kernel, loop, engine_, udp_),
      dns_(kernel, loop, engine_, std::move(options.resolvers)),
      published_(loop, engine_, tcp_, udp_, std::move(options.published)),
      reporter_(loop.now(), options.keep_report, std::move(options.flow_log)),
      addresses_(std::move(options.addresses)) {
  tcp_.set_room(udp_);
  for (const int fd : link_->descriptors()) {
    (void)loop_.add(fd, EPOLLIN, EventTag{EventKind::kLink}.pack());
  }
  if (addresses_) {
    engine_.set_host_addresses(addresses_->addresses());
    (void)loop_.add(addresses_->fd(), EPOLLIN, EventTag{EventKind::kHostAddresses}.pack());
  }
}

Worker::~Worker() = default;

int Worker::run(netns::ChildProcess& child, sys::SignalFd& signals) {
  child_ = &child;
  signals_ = &signals;
  (void)loop_.add(signals.fd(), EPOLLIN, EventTag{EventKind::kSignals}.pack());
  (void)loop_.add(child.pidfd(), EPOLLIN, EventTag{EventKind::kChild}.pack());
  if (child.channel_fd() >= 0) {
    (void)loop_.add(child.channel_fd(), EPOLLIN, EventTag{EventKind::kChildChannel}.pack());
  }
  while (!exit_code_) turn(kNever);
  drain();
  const Instant now = loop_.now();
  fast_path_.carrier().note_waiting();
  const auto given_up = engine_.shut_down(now, sink_);
  settle(now);
  tell_given_up(given_up);
  reporter_.finish();
  link_->flush();
  return *exit_code_;
}

Instant Worker::next_wakeup(Instant now) {
  if (engine_.has_deferred() || fast_path_.carrier().has_ready()) return now;
  return std::min({engine_.next_wakeup(), tcp_.next_wakeup(), fast_path_.next_wakeup(now),
                   published_.next_wakeup(), reporter_.next_wakeup(now)});
}

void Worker::turn(Instant limit) {
  Instant now = loop_.now();
  const std::size_t count = loop_.wait(events_, now, std::min(limit, next_wakeup(now))).value_or(0);
  SLUICE_PROBE(poll_returned, trace::kNoTraceFlow, count, 0);
  now = loop_.now();
  if (engine_.has_deferred()) {
    engine_.run_deferred(now, sink_);
    settle(now);
  }
  for (std::size_t i = 0; i < count; ++i) dispatch(events_[i], now);
  if (engine_.next_wakeup() <= now) engine_.on_timers(now, sink_);
  tcp_.on_time(now);
  settle(now);  // The fast path must not overtake what ends a flow.
  fast_path_.on_time(now, sink_);
  fast_path_.carrier().run_ready(now, sink_);
  settle(now);
  if (published_.next_wakeup() <= now) published_.on_time(now);
  reporter_.flush_if_due(now);
  link_->flush();
  tcp_.prepare();
}

void Worker::dispatch(const epoll_event& event, Instant now) {
  const EventTag tag = EventTag::unpack(event.data.u64);
  switch (tag.kind) {
    case EventKind::kLink: on_link(link::Link::Depth::kAsExpected, now); return;
    case EventKind::kTcp: tcp_.on_event(tag, event.events, now, sink_); return;
    case EventKind::kUdp:
      udp_.on_event(tag, event.events, now, sink_);
      settle(now);  // The frames borrow the receive buffer.
      return;
    case EventKind::kPing: ping_.on_event(tag, event.events, now, sink_); return;
    case EventKind::kDnsUdp:
    case EventKind::kDnsTcp: dns_.on_event(tag, event.events, now, sink_); return;
    case EventKind::kListener: published_.on_event(tag, now, sink_); return;
    case EventKind::kCarriedGuest:
    case EventKind::kCarriedHost: fast_path_.carrier().on_event(tag, event.events); return;
    case EventKind::kAgent:
      // What the guest sent by the tap was there before it was turned away from it. Either settles:
      // a flow may have ended in this very turn.
      if (link_gone_) {
        settle(now);
      } else {
        on_link(link::Link::Depth::kToTheEnd, now);
      }
      fast_path_.on_agent(now, sink_);
      settle(now);  // What it gave back borrows its packets.
      return;
    case EventKind::kHostAddresses: on_host_addresses(); return;
    case EventKind::kSignals: on_signals(); return;
    case EventKind::kChild: exit_code_ = child_->exit_code(); return;
    case EventKind::kChildChannel:
      (void)loop_.remove(child_->channel_fd());
      child_->on_channel();
      if (child_->channel_fd() >= 0) {
        (void)loop_.add(child_->channel_fd(), EPOLLIN, EventTag{EventKind::kChildChannel}.pack());
      }
      return;
  }
}

[[gnu::noinline]] void Worker::on_link(link::Link::Depth depth, Instant now) {
  settle(now);  // What was gathered so far may borrow the last burst.
  dns_.follow_resolvers(now);
  const link::Link::Burst burst = link_->read_burst(depth);
  for (const wire::FrameIn& frame : burst.frames) {
    engine_.on_frame(frame.bytes, frame.offload, now, sink_);
  }
  engine_.end_burst(burst.drained ? flow::BurstEnd::kDrained : flow::BurstEnd::kMoreFollows, now,
                    sink_);
  settle(now);
  if (burst.gone) [[unlikely]] {
    link_gone_ = true;
    telemetry::log_warn("the command deleted its network interface; it has no network any more");
    for (const int fd : link_->descriptors()) (void)loop_.remove(fd);
  }
}

void Worker::write_frames() {
  wire::FrameBatch& frames = sink_.frames();
  if (frames.empty()) return;
  for (std::size_t lost = link_->write(frames); lost > 0; --lost) {
    engine_.drops().count(flow::DropReason::kLinkWriteFailed);
  }
  SLUICE_PROBE(frames_flushed, trace::kNoTraceFlow, frames.size(), 0);
  frames.clear();
}

// Carries out all actions, those that their results bring included.
[[gnu::noinline]] void Worker::settle(Instant now) {
  auto& actions = sink_.actions();
  const Overloaded run{[&](const flow::ConnectTcp action) {
                         tcp_.connect(action, now, sink_);
                         write_frames();  // The answer need not wait for what follows.
                       },
                       [&](const flow::StashTcp action) { tcp_.stash(action); },
                       [&](const flow::WriteTcp action) { tcp_.write(action, now, sink_); },
                       [&](const flow::PeekTcp action) {
                         tcp_.peek(action, now, sink_);
                         write_frames();  // They borrow the peek buffer.
                       },
                       [&](const flow::DiscardTcp action) { tcp_.discard(action, now, sink_); },
                       [&](const flow::ShutdownTcp action) { tcp_.shutdown(action); },
                       [&](const flow::ProbeTcp action) { tcp_.probe(action, sink_); },
                       [&](const flow::CloseTcp action) {
                         if (!fast_path_.close(action)) tcp_.close(action, now);
                       },
                       [&](const flow::HandOverTcp& action) {
                         fast_path_.hand_over(flow::HandOverTcp(action), now, sink_);
                       },
                       [&](const flow::DivertTcp action) { fast_path_.divert(action, now); },
                       [&](const flow::ReleaseTcp action) { fast_path_.release(action); },
                       [&](const flow::OpenUdp action) { udp_.open(action, now, sink_); },
                       [&](const flow::SendUdp action) { udp_.send(action, now, sink_); },
                       [&](const flow::CloseUdp action) { udp_.close(action); },
                       [&](const flow::OpenPing action) { ping_.open(action, now, sink_); },
                       [&](const flow::SendPing action) { ping_.send(action, now, sink_); },
                       [&](const flow::ClosePing action) { ping_.close(action); },
                       [&](const flow::ReportFlow action) {
                         reporter_.add(action.summary,
                                       engine_.name_of(action.summary.key.remote.address));
                       }};
  std::size_t done = 0;
  do {
    // By value: carrying one out may add more and move them.
    for (; done < actions.size(); ++done) {
      if (engine_.serve_dns(actions[done], now, sink_)) [[unlikely]] {
        write_frames();  // They borrow the connection's answers.
      } else {
        std::visit(run, actions[done]);
      }
    }
    udp_.flush(now, sink_);
    dns_.run_actions(now, sink_);
  } while (done < actions.size());
  sink_.clear_actions();
  write_frames();
}

// The command has ended, and what it left in sockets is delivered for as long as its kernel would.
void Worker::drain() {
  on_signals();  // Those that came before the end were the command's.
  draining_ = true;
  (void)loop_.remove(child_->pidfd());  // It would say so again and again.
  Instant now = loop_.now();
  if (!link_gone_) on_link(link::Link::Depth::kToTheEnd, now);  // What it sent last is still sent.
  engine_.tcp().begin_drain(now);
  Instant tell_at = now + kTellAfter;
  while (!abandoned_) {
    fast_path_.carrier().note_waiting();
    const flow::TcpFlows::Undelivered left = engine_.tcp().undelivered(now);
    if (left.flows == 0 && !tcp_.has_late_resets()) return;
    if (left.flows > 0 && now >= tell_at) {
      tell_at = kNever;
      telemetry::log_warn(
          "the command has ended; {} still {} to be delivered, at least {} (SIGINT gives them up)",
          connections(left.flows), left.flows == 1 ? "has bytes" : "have bytes",
          telemetry::human_bytes(left.bytes));
    }
    const Instant look_again = now + kLookEach * static_cast<std::int64_t>(engine_.tcp().size());
    do {
      turn(std::min(left.until, left.flows > 0 ? tell_at : kNever));
      now = loop_.now();
    } while (now < look_again && !abandoned_);
  }
}

void Worker::tell_given_up(const std::vector<flow::TcpFlows::GivenUp>& given_up) const {
  if (given_up.empty()) return;
  constexpr std::size_t kNamedMax = 4;
  std::string whom;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < given_up.size(); ++i) {
    bytes += given_up[i].bytes;
    if (i >= kNamedMax) continue;
    whom += fmt::format("{}{}", i == 0 ? "" : ", ", wire::to_string(given_up[i].key.remote));
  }
  if (given_up.size() > kNamedMax) whom += fmt::format(" and {} more", given_up.size() - kNamedMax);
  telemetry::log_warn(
      "{} reset before all that the command sent was delivered; at least {} are missing: {}",
      connections(given_up.size()) + (given_up.size() == 1 ? " was" : " were"),
      telemetry::human_bytes(bytes), whom);
}

[[gnu::cold]] void Worker::on_host_addresses() {
  const auto news = addresses_->read();
  if (!news) {
    telemetry::log_error("{}; changes of the host's addresses are not seen any more",
                         news.error().describe());
    (void)loop_.remove(addresses_->fd());
    return;
  }
  if (news->addresses_changed) engine_.set_host_addresses(addresses_->addresses());
  for (const wire::Prefix& prefix : news->nat64) engine_.add_nat64_prefix(prefix);
}

void Worker::on_signals() {
  while (const auto info = signals_->read()) {
    if (info->ssi_signo == SIGUSR1) {
      std::fputs(telemetry::status_text(snapshot(), "sluice run").c_str(), stderr);
    } else if (draining_) {
      abandoned_ = abandoned_ || info->ssi_signo == SIGINT || info->ssi_signo == SIGTERM;
    } else {
      child_->on_signal(*info);
    }
  }
}

telemetry::Snapshot Worker::snapshot() const {
  telemetry::Snapshot snapshot{.flows = engine_.flow_count(),
                               .fast_path = fast_path_.counters(),
                               .report = reporter_.report() ? &*reporter_.report() : nullptr};
  for (std::size_t i = 0; i < flow::kDropReasonCount; ++i) {
    const auto reason = static_cast<flow::DropReason>(i);
    snapshot.drops.push_back({flow::to_string(reason), engine_.drops()[reason]});
  }
  return snapshot;
}

}  // namespace sluice::driver
