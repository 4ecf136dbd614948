#include "forward/worker/worker.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "telemetry/log.h"

namespace sluice::forward {
namespace {

// A UDP session without traffic for so long is over once we drain: nothing else would end it.
constexpr Duration kQuiet = std::chrono::seconds{1};
constexpr Duration kQuietCheckEvery = std::chrono::milliseconds{100};
// A turn with so few is one of an interactive session or two.
constexpr std::size_t kFewEvents = 2;

}  // namespace

std::expected<std::unique_ptr<Worker>, sys::SysError> Worker::create(sys::Kernel& kernel,
                                                                     const WorkerOptions& options) {
  auto loop = sys::EventLoop::create(kernel);
  if (!loop) return std::unexpected(loop.error());
  std::unique_ptr<Worker> worker(new Worker(kernel, std::move(*loop), options));
  if (!worker->mailbox_.valid()) {
    return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  }
  if (const auto added =
          worker->loop_.add(worker->mailbox_.fd(), EPOLLIN, EventTag{EventKind::kMailbox}.pack());
      !added) {
    return std::unexpected(added.error());
  }
  return worker;
}

Worker::Worker(sys::Kernel& kernel, sys::EventLoop loop, const WorkerOptions& options)
    : loop_(std::move(loop)),
      timers_(loop_.now()),
      pools_(kernel, options.relay, options.pipes_max),
      context_{kernel,      loop_,    timers_,
               pools_,      scratch_, log_,
               loop_.now(), &outbox_, std::uint64_t{options.number} << kNumberBits},
      to_udp_(context_),
      tcp_(context_, to_udp_),
      listeners_(context_, *this),
      udp_(context_, options.udp),
      supervisor_event_fd_(options.supervisor_event_fd) {
  tcp_.set_listeners(listeners_);
}

Worker::~Worker() = default;

void Worker::run() {
  // What another worker hands over at the last moment is served too.
  while (state_ != State::kStopped && !(drained() && mailbox_.close_if_empty())) turn();
  end_all();
  log_.flush();
  sessions_.store(0, std::memory_order_relaxed);
  ended_.store(true, std::memory_order_release);
  answer();
}

void Worker::end_all() {
  udp_.end_all();
  to_udp_.end_all();
  tcp_.end_all();
}

void Worker::turn() {
  context_.now = loop_.now();
  // Whom the last message woke may run before we sleep: its answer then costs us no wake-up. With
  // many sessions something is always ready, and the call would be for nothing.
  if (events_seen_ > 0 && events_seen_ <= kFewEvents) ::sched_yield();
  const auto count = loop_.wait(events_, context_.now, next_deadline());
  context_.now = loop_.now();
  events_seen_ = count.value_or(0);
  for (std::size_t i = 0; i < events_seen_; ++i) dispatch(events_[i]);
  run_timers();
  pending_ = tcp_.run_ready();
  pending_ |= to_udp_.run_pending();
  pending_ |= udp_.run_pending();
  if (log_.flush_at() <= context_.now) log_.on_time(context_.now);
  if (outbox_.has_news()) [[unlikely]] {
    answer();
  }
  sessions_.store(
      static_cast<std::uint32_t>(tcp_.sessions() + to_udp_.sessions() + udp_.sessions()),
      std::memory_order_relaxed);
}

void Worker::dispatch(const epoll_event& event) {
  const EventTag tag = EventTag::unpack(event.data.u64);
  switch (tag.kind) {
    case EventKind::kMailbox: read_mail(); return;
    case EventKind::kListener: listeners_.on_event(tag); return;
    case EventKind::kClient:
    case EventKind::kTarget: tcp_.on_event(tag, event.events); return;
    case EventKind::kTargetRacer: tcp_.on_racer_event(tag, event.events); return;
    case EventKind::kUdpListener:
    case EventKind::kUdpSession:
    case EventKind::kUdpStream:
    case EventKind::kUdpRacer: udp_.on_event(tag, event.events); return;
    case EventKind::kBridgeStream:
    case EventKind::kBridgeDatagram: to_udp_.on_event(tag, event.events); return;
    case EventKind::kAcceptPause:
    case EventKind::kLogFlush: return;  // Timers only.
  }
}

void Worker::run_timers() {
  while (TimerNode* const node = timers_.pop_due(context_.now)) {
    const EventTag tag = EventTag::unpack(node->owner());
    switch (tag.kind) {
      case EventKind::kAcceptPause: listeners_.on_timer(); break;
      case EventKind::kClient:
      case EventKind::kTarget: tcp_.on_timer(tag); break;
      case EventKind::kUdpListener:
      case EventKind::kUdpSession:
      case EventKind::kUdpStream: udp_.on_timer(tag); break;
      case EventKind::kBridgeStream:
      case EventKind::kBridgeDatagram: to_udp_.on_timer(tag); break;
      case EventKind::kMailbox:
      case EventKind::kListener:
      case EventKind::kTargetRacer:
      case EventKind::kUdpRacer:
      case EventKind::kLogFlush: break;  // They have no timer.
    }
  }
}

// Called before each wait: the pools let go of what has been idle for long.
Instant Worker::next_deadline() {
  if (pending_) return context_.now;
  Instant deadline = std::min(timers_.next_wakeup(), log_.flush_at());
  if (state_ == State::kDraining) deadline = std::min(deadline, next_quiet_check_);
  return std::min(deadline, pools_.trim(context_.now));
}

void Worker::read_mail() {
  for (Message& message : mailbox_.take()) {
    const bool is_request = !std::holds_alternative<Rebalanced>(message) &&
                            !std::holds_alternative<List>(message) &&
                            !std::holds_alternative<Kill>(message);
    std::visit([this](auto& content) { carry_out(content); }, message);
    if (!is_request) continue;
    answered_.fetch_add(1, std::memory_order_release);
    answer();
  }
}

void Worker::answer() {
  if (supervisor_event_fd_ < 0) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(supervisor_event_fd_, &one, sizeof one);
}

void Worker::carry_out(Apply& apply) {
  log_.set_file(std::move(apply.log));
  for (auto& [id, known] : known_) known.listed = false;
  for (WorkerListener& listener : apply.listeners) {
    const auto found = known_.find(listener.id);
    if (found == known_.end()) continue;
    found->second.listed = true;
    set_rule(found->second, std::move(listener.rule));
  }
  std::erase_if(known_, [this](const auto& entry) {
    if (entry.second.listed) return false;
    close_listener(entry.second);
    return true;
  });
  // After the closing: a new listener takes over the sessions of an old one at its address.
  for (WorkerListener& listener : apply.listeners) {
    if (!known_.contains(listener.id)) add_listener(std::move(listener));
  }
}

void Worker::add_listener(WorkerListener listener) {
  const bool udp = listener.rule->plan.listens_udp();
  const auto added = udp ? udp_.listen(std::move(listener.socket), std::move(listener.rule),
                                       listener.port, listener.port_offset)
                         : listeners_.add({.serves = {.rule = std::move(listener.rule),
                                                      .port = listener.port,
                                                      .port_offset = listener.port_offset},
                                           .socket = std::move(listener.socket)});
  if (!added) {
    telemetry::log_error("cannot watch a listener: {}", added.error().describe());
    return;
  }
  known_.emplace(listener.id, Known{.handle = *added, .udp = udp, .listed = true});
}

void Worker::set_rule(const Known& known, std::shared_ptr<LiveRule> rule) {
  if (known.udp) {
    udp_.set_rule(known.handle, std::move(rule));
  } else if (StreamListener* const listener = listeners_.find(known.handle)) {
    listener->serves.rule = std::move(rule);
  }
}

void Worker::close_listener(const Known& known) {
  if (known.udp) {
    udp_.close(known.handle);
  } else {
    listeners_.close(known.handle);
  }
}

void Worker::carry_out(Drain&) {
  for (const auto& [id, known] : known_) close_listener(known);
  known_.clear();
  if (state_ == State::kServing) state_ = State::kDraining;
}

void Worker::carry_out(Publish&) {
  tcp_.publish_counters();
  to_udp_.publish_counters();
  udp_.publish_counters();
}

// A place is the number of the part, and where in it to go on.
void Worker::carry_out(List& list) {
  constexpr std::uint32_t kPartsEnd = 3;
  constexpr unsigned kPlaceBits = 32;
  SessionPage page;
  auto part = static_cast<std::uint32_t>(list.from >> kPlaceBits);
  auto place = static_cast<std::uint32_t>(list.from);
  for (; part < kPartsEnd; ++part, place = 0) {
    const SessionRange range{place, list.most};
    const std::uint32_t next = part == 0   ? tcp_.list(range, page.sessions)
                               : part == 1 ? to_udp_.list(range, page.sessions)
                                           : udp_.list(range, page.sessions);
    if (next == kNoMoreSessions) continue;
    page.next = (std::uint64_t{part} << kPlaceBits) | next;
    break;
  }
  list.reply->give(std::move(page));
}

void Worker::carry_out(Kill& kill) {
  kill.reply->give(tcp_.kill(kill.session) || to_udp_.kill(kill.session) ||
                   udp_.kill(kill.session));
}

void Worker::carry_out(Rebalanced& handed) {
  tcp_.begin(handed.listener, std::move(handed.client));
}

void Worker::accepted(const ListenerRule& listener, AcceptedClient client) {
  if (Worker* const peer = less_busy_peer(); peer != nullptr) {
    Message message(Rebalanced{listener, std::move(client)});
    if (peer->mailbox_.post(std::move(message))) return;
    client = std::move(std::get<Rebalanced>(message).client);
  }
  tcp_.begin(listener, std::move(client));
}

// The kernel spreads connections by a hash, so that of a few long ones one worker may get most. The
// margin keeps short ones where they are: to hand one over costs a wake-up, and hundreds of them
// come out even by themselves.
Worker* Worker::less_busy_peer() {
  const auto mine = static_cast<std::uint32_t>(tcp_.sessions());
  if (mine < 2 || state_ != State::kServing || peers_.size() < 2) return nullptr;
  const auto least = std::ranges::min_element(peers_, {}, &Worker::sessions);
  const std::uint32_t theirs = (*least)->sessions();
  if (*least == this || mine <= 2 * theirs + 1) return nullptr;
  // Counted there at once, or all that are accepted in this turn would go the same way.
  (*least)->sessions_.fetch_add(1, std::memory_order_relaxed);
  return *least;
}

bool Worker::drained() {
  if (state_ != State::kDraining) return false;
  if (context_.now >= next_quiet_check_) {
    next_quiet_check_ = context_.now + kQuietCheckEvery;
    (void)udp_.end_quiet(kQuiet);
  }
  return tcp_.sessions() + to_udp_.sessions() + udp_.sessions() == 0;
}

// A worker that has ended has nothing left to carry out.
void Worker::apply(std::vector<WorkerListener> listeners, std::shared_ptr<LogFile> log) {
  (void)mailbox_.post(Apply{std::move(listeners), std::move(log)});
}
void Worker::drain() { (void)mailbox_.post(Drain{}); }
void Worker::stop() { (void)mailbox_.post(Stop{}); }
void Worker::publish_counters() { (void)mailbox_.post(Publish{}); }

std::shared_ptr<Worker::PageReply> Worker::list(std::uint64_t from, std::size_t most) {
  auto reply = std::make_shared<PageReply>();
  if (!mailbox_.post(List{from, most, reply})) reply->give({});
  return reply;
}

std::shared_ptr<Worker::KillReply> Worker::kill(std::uint64_t session) {
  auto reply = std::make_shared<KillReply>();
  if (!mailbox_.post(Kill{session, reply})) reply->give(false);
  return reply;
}

}  // namespace sluice::forward
