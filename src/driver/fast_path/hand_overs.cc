#include "driver/fast_path/hand_overs.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <variant>

#include "base/overloaded.h"
#include "telemetry/log.h"
#include "wire/ip/ip.h"
#include "wire/transport/tcp.h"

namespace sluice::driver {
namespace {

// The agent answers in well under a millisecond. After the first it refuses, after the second it is
// taken for dead.
constexpr Duration kAnswerWithin = std::chrono::milliseconds(500);
constexpr Duration kAgentPatience = std::chrono::seconds(1);
// What the guest may have under way while a hand-over is asked for; the rest is dropped, and sent
// again by the guest.
constexpr std::size_t kWaitingMax = 16 * 1024 * 1024;
constexpr std::size_t kPacketsMax = 512;
// Packets of a connection that was handed over do not come by the tap, unless something in the
// guest has undone what the agent did.
constexpr Duration kRepairPause = std::chrono::seconds(1);
constexpr Duration kUnderWayMax = std::chrono::milliseconds(50);
// When the guest's kernel is in no state to take connections over, they need not all try.
constexpr std::uint32_t kFailuresInARow = 8;
constexpr Duration kPause = std::chrono::seconds(1);
// How soon an agent that had its hands full is told the rest.
constexpr Duration kTellAgain = std::chrono::milliseconds(5);

std::optional<wire::SeqNum> sequence_of_reset(ByteView packet) {
  const auto view = wire::parse_ip_packet(packet);
  if (!view) return std::nullopt;
  const auto segment = wire::TcpView::parse(view->payload);
  if (!segment || !segment->flags().rst()) return std::nullopt;
  return segment->sequence();
}

}  // namespace

HandOvers::HandOvers(sys::Kernel& kernel, sys::EventLoop& loop, flow::Engine& engine, TcpIo& tcp,
                     agent::GuestAgent agent, const FastPathOptions& options)
    : loop_(loop),
      engine_(engine),
      tcp_(tcp),
      kernel_(kernel),
      options_(options),
      agent_(std::move(agent)),
      carrier_(kernel, loop, engine.tcp(), loop.now()) {
  if (agent_.fd() < 0) return;
  // Without its answers there is no fast path, and the tap carries everything.
  if (!loop_.add(agent_.fd(), EPOLLIN, EventTag{EventKind::kAgent}.pack())) agent_.close();
}

std::expected<void, sys::SetupError> HandOvers::await() {
  constexpr Duration kPatience = std::chrono::seconds(10);
  auto message = agent_.await(kPatience);
  if (auto* ready = std::get_if<agent::AgentReady>(&message)) {
    on_message(std::move(*ready));
    return {};
  }
  if (const auto* missing = std::get_if<agent::AgentMissing>(&message)) {
    return std::unexpected(missing->error);
  }
  return std::unexpected(sys::SetupError{"the agent in the guest does not answer", 0, ""});
}

HandOvers::Asked* HandOvers::find(flow::TcpId id) {
  if (id.index >= by_flow_.size()) return nullptr;
  Asked* asked = asked_.find(by_flow_[id.index]);
  return asked != nullptr && asked->id == id && !asked->closed ? asked : nullptr;
}

bool HandOvers::has_descriptors() const {
  const std::size_t used = engine_.flow_count() + carrier_.size() + asked_.size();
  // Listeners, pipes, and what else is open: most of it once, and some by each worker.
  constexpr std::uint64_t kOthers = 64;
  constexpr std::uint64_t kOwn = 16;
  const std::uint64_t others = std::max<std::uint64_t>(kOthers / options_.workers, kOwn);
  return used + others < options_.descriptor_limit / options_.workers / 4 * 3;
}

bool HandOvers::hold_places(std::size_t count) {
  const int any = inject_v4_.valid() ? inject_v4_.get() : inject_v6_.get();
  while (places_.size() < count) {
    const int fd = kernel_.fcntl_int(any, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return false;
    places_.emplace_back(kernel_, fd);
  }
  places_.resize(count);
  return true;
}

void HandOvers::hand_over(const flow::HandOverTcp& action, flow::Turn turn) {
  const SlabHandle handle = asked_.emplace();
  const Instant deadline = turn.now + kAnswerWithin;
  if (!has_descriptors() || !hold_places(asked_.size()) || !flush_releases() ||
      !agent_.hand_over(handle.pack(), action.snapshot, deadline)) {
    asked_.erase(handle);
    ++refused_;
    engine_.tcp().on_hand_over_failed(action.flow, turn);
    return;
  }
  Asked& asked = asked_.at(handle.index);
  asked.id = action.flow;
  asked.snapshot = action.snapshot;
  asked.deadline = deadline;
  if (check_at_ == kNever) check_at_ = deadline + kAgentPatience;
  if (by_flow_.size() <= action.flow.index) by_flow_.resize(action.flow.index + std::size_t{1});
  by_flow_[action.flow.index] = handle;
}

void HandOvers::divert(const flow::DivertTcp& action, Instant now) {
  Asked* asked = find(action.flow);
  const std::optional<wire::SeqNum> reset = sequence_of_reset(action.packet);
  if (asked == nullptr) {
    pass_on(action.flow, action.packet, reset, now);
    // RSTs come this way, and one that was under way when the connection was handed over is no sign
    // of trouble.
    const Instant since = carrier_.carried_since(action.flow);
    if (!reset && since != kNever && now >= since + kUnderWayMax) repair(now);
    return;
  }
  if (reset) asked->reset = true;
  if (asked->packets.size() >= kPacketsMax || bytes_waiting_ + action.packet.size() > kWaitingMax) {
    engine_.drops().count(flow::DropReason::kTcpBufferFull);
    return;
  }
  asked->packets.emplace_back(action.packet.begin(), action.packet.end());
  asked->bytes += action.packet.size();
  bytes_waiting_ += action.packet.size();
}

void HandOvers::repair(Instant now) {
  if (now < repair_after_ || !flush_releases() || !agent_.repair()) return;
  repair_after_ = now + kRepairPause;
  ++repairs_;
}

void HandOvers::release(const flow::ReleaseTcp& action) {
  if (agent_.fd() < 0) return;  // Whatever begins anew takes its name out of the set by itself.
  releases_.push_back(action);
  (void)flush_releases();
}

bool HandOvers::flush_releases() {
  if (releases_.empty()) return true;
  std::size_t told = 0;
  for (const flow::ReleaseTcp& one : releases_) {
    if (!agent_.release(one.guest, one.remote)) break;
    ++told;
  }
  releases_.erase(releases_.begin(), releases_.begin() + static_cast<std::ptrdiff_t>(told));
  return releases_.empty();
}

bool HandOvers::close(const flow::CloseTcp& action) {
  if (Asked* asked = find(action.flow)) {
    (void)take_packets(*asked);
    asked->closed = true;
  }
  return carrier_.close(action);
}

void HandOvers::on_agent(Settled settled) {
  returned_.clear();
  hear_agent({settled.now, settled.out});
}

void HandOvers::hear_agent(flow::Turn turn) {
  const auto receive = [this] {
    if (!places_.empty()) places_.pop_back();  // For the socket that may come with it.
    return agent_.receive();
  };
  while (auto message = receive()) {
    std::visit(Overloaded{[&](agent::AgentReady& m) { on_message(std::move(m)); },
                          [&](agent::AgentMissing& m) { on_message(m); },
                          [&](agent::AgentHandedOver& m) { on_message(std::move(m), turn); },
                          [&](agent::AgentRefused& m) { on_message(m, turn); },
                          [&](agent::AgentRepaired& m) { on_message(m); },
                          [&](agent::AgentSockets& m) {
                            if (taker_ != nullptr) taker_->on_guest_sockets(std::move(m), turn);
                          },
                          [&](agent::AgentGone&) { lose_agent(turn); }},
               *message);
    (void)hold_places(asked_.size());
  }
  (void)hold_places(asked_.size());  // Nothing came with the last one.
  (void)flush_releases();
}

void HandOvers::on_message(agent::AgentReady message) {
  inject_v4_ = std::move(message.inject_v4);
  inject_v6_ = std::move(message.inject_v6);
  engine_.tcp().set_hand_over(options_.when);
  ready_ = true;
}

void HandOvers::on_message(const agent::AgentMissing& message) {
  if (!options_.tells) return;
  telemetry::log_info("fast path: not available, the tap carries everything: {}",
                      message.error.describe());
}

// Invalid without a descriptor for it: the socket is gone then, and the guest was told by a RST.
host::TcpSocket HandOvers::adopt(UniqueFd socket) {
  if (!socket.valid()) return {};
  return host::TcpSocket::adopt(sys::KernelFd(kernel_, socket.release()),
                                {.nodelay = false, .keepalive = false, .urgent_inline = true});
}

void HandOvers::on_message(agent::AgentHandedOver message, flow::Turn turn) {
  const SlabHandle handle = SlabHandle::unpack(message.tag);
  Asked* asked = asked_.find(handle);
  if (asked == nullptr) return;
  const flow::TcpId id = asked->id;
  const wire::TcpSnapshot snapshot = asked->snapshot;
  const bool closed = asked->closed;
  host::TcpSocket guest = adopt(std::move(message.socket));
  const Packets packets = take_packets(*asked);
  asked_.erase(handle);
  if (closed || !guest.valid()) {
    end_abandoned(snapshot, std::move(guest));
    if (!closed) engine_.tcp().on_socket_lost(id, turn);
    return;
  }
  const int host_error = tcp_.failure(id);
  Carrier::Ends ends{
      .guest = std::move(guest), .host = tcp_.take(id), .guest_next = snapshot.receive_next};
  if (!carrier_.start(id, ends, turn.now)) [[unlikely]] {
    // The guest's kernel has the connection already, so it cannot go on by the tap.
    ++refused_;
    ends.host.reset();
    end_abandoned(snapshot, std::move(ends.guest));
    engine_.drops().count(flow::DropReason::kNoDescriptors);
    engine_.tcp().on_socket_lost(id, turn);
    return;
  }
  ++handed_over_;
  failures_in_a_row_ = 0;
  if (host_error != 0) carrier_.note_host_failed(id, host_error);
  engine_.tcp().on_handed_over(id, turn);
  for (const auto& packet : packets) pass_on(id, packet, sequence_of_reset(packet), turn.now);
}

void HandOvers::end_abandoned(const wire::TcpSnapshot& snapshot, host::TcpSocket socket) {
  socket.reset();
  release({snapshot.peer, snapshot.local});
}

void HandOvers::on_message(const agent::AgentRefused& message, flow::Turn turn) {
  const SlabHandle handle = SlabHandle::unpack(message.tag);
  Asked* asked = asked_.find(handle);
  if (asked == nullptr) return;
  if (asked->closed) {
    asked_.erase(handle);
    return;
  }
  telemetry::log_debug("fast path: {} stays on the tap: {}", wire::to_string(asked->snapshot.peer),
                       sys::errno_text(message.error));
  // Who resets his connection answers nothing by the new way.
  const bool reset = asked->reset;
  // No answer by the new way, or no table: what others may have taken away can be put back.
  const bool lost = message.error == ETIMEDOUT && !reset;
  if (lost || message.error == ENOENT) repair(turn.now);
  give_up(*asked, turn);
  asked_.erase(handle);
  if (reset) return;
  if (++failures_in_a_row_ < kFailuresInARow) return;
  failures_in_a_row_ = 0;
  engine_.tcp().set_hand_over(flow::HandOverWhen::kNever);
  resume_at_ = turn.now + kPause;
}

void HandOvers::on_message(const agent::AgentRepaired& message) {
  if (message.error != 0) {
    telemetry::log_debug("fast path: cannot be set up again: {}", sys::errno_text(message.error));
  }
}

HandOvers::Packets HandOvers::take_packets(Asked& asked) {
  bytes_waiting_ -= std::exchange(asked.bytes, 0);
  return std::exchange(asked.packets, {});
}

void HandOvers::give_up(Asked& asked, flow::Turn turn) {
  const flow::TcpId id = asked.id;
  const Packets& packets = returned_.emplace_back(take_packets(asked));
  ++refused_;
  engine_.tcp().on_hand_over_failed(id, turn);
  for (const auto& packet : packets) engine_.on_returned(packet, turn);
  if (!packets.empty()) engine_.end_burst(flow::BurstEnd::kDrained, turn);
}

// Whoever can stop the agent is in the guest, and stops its own network's faster half.
void HandOvers::lose_agent(flow::Turn turn) {
  agent_.close();
  engine_.tcp().set_hand_over(flow::HandOverWhen::kNever);
  resume_at_ = kNever;
  check_at_ = kNever;
  // Nobody knows how far it came with these: their sockets may have been let go.
  asked_.for_each([&](SlabHandle handle, Asked& asked) {
    const flow::TcpId id = asked.id;
    const bool closed = asked.closed;
    (void)take_packets(asked);
    asked_.erase(handle);
    if (closed) return;
    ++refused_;
    engine_.tcp().on_socket_lost(id, turn);
  });
  places_.clear();
  releases_.clear();
  if (taker_ != nullptr) taker_->on_agent_gone(turn);
  if (ready_ && options_.tells) {
    telemetry::log_info("fast path: its agent in the guest is gone; the tap carries what is new");
  }
}

Instant HandOvers::next_wakeup(Instant now) {
  return std::min({carrier_.next_wakeup(now), check_at_, resume_at_, resets_.next_wakeup(),
                   releases_.empty() ? kNever : now + kTellAgain});
}

void HandOvers::on_time(Settled settled) {
  const flow::Turn turn{settled.now, settled.out};
  returned_.clear();
  carrier_.on_time(turn.now);
  if (turn.now >= resume_at_) {
    resume_at_ = kNever;
    engine_.tcp().set_hand_over(options_.when);
  }
  (void)flush_releases();
  const auto has_all = [this](flow::TcpId id, wire::SeqNum sequence) {
    return carrier_.has_received(id, sequence);
  };
  for (const HeldResets::Reset& due : resets_.take_due(turn.now, has_all)) inject(due.packet);
  if (turn.now < check_at_) return;
  hear_agent(turn);  // It may be we who were late.
  check_at_ = kNever;
  asked_.for_each([&](SlabHandle, const Asked& asked) {
    check_at_ = std::min(check_at_, asked.deadline + kAgentPatience);
  });
  if (check_at_ <= turn.now) lose_agent(turn);
}

void HandOvers::pass_on(flow::TcpId id, ByteView packet, std::optional<wire::SeqNum> reset,
                        Instant now) {
  if (reset && !carrier_.has_received(id, *reset) &&
      resets_.add({.flow = id, .sequence = *reset, .packet = {packet.begin(), packet.end()}},
                  now)) {
    return;
  }
  inject(packet);
}

// From here the guest's kernel takes it as if it had turned it itself. The checksum may have been
// left to the tap.
void HandOvers::inject(ByteView packet) {
  packet_.assign(packet.begin(), packet.end());
  const auto view = wire::parse_ip_packet(packet_);
  if (!view || view->payload.size() < wire::TcpView::kHeaderSize) return;
  const std::size_t header = view->packet.size() - view->payload.size();
  const MutableBytes segment = MutableBytes(packet_).subspan(header, view->payload.size());
  wire::set_tcp_checksum(segment, 0);
  wire::set_tcp_checksum(segment, wire::tcp_checksum(view->source, view->destination, segment, {}));
  const UniqueFd& socket = view->family == wire::IpFamily::kV4 ? inject_v4_ : inject_v6_;
  if (!socket.valid()) return;
  // What finds no room is lost on the way, like a packet.
  const ssize_t sent =
      kernel_.send(socket.get(), packet_.data(), view->packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) {
    ++injected_;
  } else {
    engine_.drops().count(flow::DropReason::kTcpBufferFull);
  }
}

std::vector<telemetry::Counter> HandOvers::counters() const {
  return {{"handed over to the guest's kernel", handed_over_},
          {"hand-overs that failed", refused_},
          {"packets put back on the fast path", injected_},
          {"repairs of the fast path", repairs_}};
}

}  // namespace sluice::driver
