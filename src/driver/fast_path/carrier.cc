#include "driver/fast_path/carrier.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/unreachable.h"
#include "sys/socket_options.h"

namespace sluice::driver {
namespace {

constexpr Duration kLookAgain = std::chrono::seconds(1);
// How often to look for what makes no event: keep-alives, and a guest that has forgotten.
constexpr Duration kLook = std::chrono::seconds(15);
// A half-closed guest is asked after as much silence whether it still knows of the connection.
constexpr std::uint32_t kHalfClosedCheckSeconds = 5;
// A host's peer that left as many questions in a row unanswered is silent; one is answered a round
// trip later.
constexpr std::uint32_t kSilentAfter = 2;
constexpr std::uint32_t kProbeIntervalMaxSeconds = 15;
constexpr Duration kLookOften = std::chrono::seconds(1);
// ACKs follow data within 0.2 s, and are no keep-alives.
constexpr Duration kProbesApart = std::chrono::seconds(1);

// How long bytes that a limit let through are waited for, and how often they are looked after.
constexpr Duration kDeliverWithin = std::chrono::seconds(1);
constexpr Duration kLookSoon = std::chrono::milliseconds(5);

policy::Outcome outcome_of(const relay::Pair& pair) {
  const bool timed_out = pair.error() == ETIMEDOUT;
  switch (pair.end()) {
    case relay::PairEnd::kClientClosed:
    case relay::PairEnd::kTargetClosed: return policy::Outcome::kClosed;
    case relay::PairEnd::kClientReset: return policy::Outcome::kResetByGuest;
    case relay::PairEnd::kTargetReset:
      return timed_out ? policy::Outcome::kTimedOut : policy::Outcome::kResetByHost;
    case relay::PairEnd::kStopped: return policy::Outcome::kOpen;
  }
  unreachable("pair end outside its enum");
}

}  // namespace

Carrier::Carrier(sys::Kernel& kernel, sys::EventLoop& loop, flow::TcpFlows& flows, Instant now)
    : loop_(loop), flows_(flows), pools_(kernel, relay::Options{}), timers_(now) {}

Carrier::~Carrier() {
  carried_.for_each([this](SlabHandle, Carried& carried) {
    timers_.cancel(carried.timer);
    carried.pair.stop(pools_, relay::StopHow::kClose);
  });
}

bool Carrier::start(flow::TcpId id, Ends& ends, Instant now) {
  auto& [guest, host, guest_next, by_loopback] = ends;
  const SlabHandle handle = carried_.emplace();
  // Both are told anew what is there already: an event follows where there is something.
  const std::uint64_t guest_tag = EventTag::of(EventKind::kCarriedGuest, handle).pack();
  const std::uint64_t host_tag = EventTag::of(EventKind::kCarriedHost, handle).pack();
  if (!loop_.add(guest.fd(), relay::kPairEvents, guest_tag) ||
      !loop_.modify(host.fd(), relay::kPairEvents, host_tag)) {
    carried_.erase(handle);
    return false;
  }
  Carried& carried = carried_.at(handle.index);
  carried.id = id;
  carried.since = now;
  carried.guest_fd = guest.fd();
  carried.guest_begin = guest_next;
  carried.by_loopback = by_loopback;
  carried.probed_at = now;
  guest.guard();
  host.guard();
  carried.timer.set_owner(handle.pack());
  if (by_flow_.size() <= id.index) by_flow_.resize(id.index + std::size_t{1});
  by_flow_[id.index] = handle;
  carried.meter = flows_.meter_of(id);
  relay::PairOptions options{.client_end = relay::ClientEnd::kKeep};
  if (carried.meter != nullptr) [[unlikely]] {
    options.to_target.lane = &carried.meter->to_host();
    options.to_client.lane = &carried.meter->from_host();
  }
  carried.pair.start(std::move(guest), std::move(host), options, pools_);
  if (look_at_ == kNever) look_at_ = now + kLook;
  ready_.add(handle, carried);
  return true;
}

void Carrier::note_host_failed(flow::TcpId id, int error) {
  if (find(id) == nullptr) return;
  carried_.at(by_flow_[id.index].index).pair.note_failure(relay::Side::kTarget, error);
}

const Carrier::Carried* Carrier::find(flow::TcpId id) const {
  if (id.index >= by_flow_.size()) return nullptr;
  const Carried* carried = carried_.find(by_flow_[id.index]);
  return carried != nullptr && carried->id == id ? carried : nullptr;
}

Instant Carrier::carried_since(flow::TcpId id) const {
  const Carried* carried = find(id);
  return carried == nullptr ? kNever : carried->since;
}

Duration Carrier::round_trip(flow::TcpId id) const {
  const Carried* carried = find(id);
  return carried == nullptr ? Duration{} : carried->pair.socket(relay::Side::kTarget).round_trip();
}

bool Carrier::close(const flow::CloseTcp& action) {
  if (find(action.flow) == nullptr) return false;
  const SlabHandle handle = by_flow_[action.flow.index];
  Carried& carried = carried_.at(handle.index);
  timers_.cancel(carried.timer);
  carried.pair.stop(pools_, action.reset ? relay::StopHow::kReset : relay::StopHow::kClose);
  if (carried.closing.valid() && action.reset) carried.closing.reset();
  carried_.erase(handle);
  return true;
}

bool Carrier::has_received(flow::TcpId id, wire::SeqNum sequence) {
  const Carried* carried = find(id);
  if (carried == nullptr) return true;
  const auto info = sys::read_tcp_info(pools_.kernel(), carried->guest_fd);
  return !info ||
         sequence <= carried->guest_begin + static_cast<std::uint32_t>(info->bytes_received);
}

void Carrier::on_event(const EventTag& tag, std::uint32_t events) {
  const SlabHandle handle = tag.handle_in(carried_);
  Carried* carried = carried_.find(handle);
  if (carried == nullptr) return;
  const bool of_guest = tag.kind == EventKind::kCarriedGuest;
  if (of_guest && (events & EPOLLERR) != 0) carried->guest_failed = true;
  carried->pair.note(of_guest ? relay::Side::kClient : relay::Side::kTarget, events);
  ready_.add(handle, *carried);
}

void Carrier::run_ready(flow::Turn turn) {
  ready_.run(carried_, [&](SlabHandle handle, Carried& carried) { pump(handle, carried, turn); });
}

void Carrier::pump(SlabHandle handle, Carried& carried, flow::Turn turn) {
  if (carried.closing.valid()) {
    end_when_delivered(handle, carried, turn);
    return;
  }
  relay::Pair& pair = carried.pair;
  if (carried.guest_failed && forgotten(carried)) [[unlikely]] {
    forget(handle, carried, turn);
    return;
  }
  const std::uint64_t to_target = pair.bytes_to_target();
  const std::uint64_t to_client = pair.bytes_to_client();
  const relay::PairStatus status = pair.pump(pools_, turn.now);
  flows_.on_carried(carried.id, pair.bytes_to_target(), pair.bytes_to_client(), turn.now);
  const telemetry::BytesMoved fresh{pair.bytes_to_target() - to_target,
                                    pair.bytes_to_client() - to_client};
  (carried.by_loopback ? relayed_ : moved_).add(fresh);
  if (fresh.to_host + fresh.to_guest != 0) {
    carried.probed_at = turn.now;
    carried.silence = {};
  }
  // What the host has sent, an end included, is to be acknowledged.
  if (carried.deaf) [[unlikely]]
    heed_silence(carried);
  switch (status) {
    case relay::PairStatus::kWaiting: watch_half_closed(carried); return;
    case relay::PairStatus::kMore: ready_.add(handle, carried); return;
    case relay::PairStatus::kLater:
      if (pair.used_up()) [[unlikely]] {
        end_used_up(carried, turn);
        return;
      }
      timers_.arm(carried.timer, pair.resume_at());
      return;
    case relay::PairStatus::kEnded: break;
  }
  carried.outcome = outcome_of(pair);
  carried.closing = pair.take_client();
  end_when_delivered(handle, carried, turn);
}

// A RST takes back what a kernel has not had acknowledged, and that much was let through.
[[gnu::cold]] void Carrier::end_used_up(Carried& carried, flow::Turn turn) {
  if (carried.ends_by == kNever) carried.ends_by = turn.now + kDeliverWithin;
  std::size_t under_way = 0;
  for (const relay::Side side : {relay::Side::kClient, relay::Side::kTarget}) {
    under_way += carried.pair.socket(side).unacknowledged_bytes().value_or(0);
  }
  if (under_way > 0 && turn.now < carried.ends_by) {
    timers_.arm(carried.timer, turn.now + kLookSoon);
  } else {
    flows_.on_used_up(carried.id, turn);
  }
}

[[gnu::cold]] void Carrier::follow_limits() {
  carried_.for_each([this](SlabHandle handle, Carried& carried) {
    policy::Meter* const meter = flows_.meter_of(carried.id);
    if (meter == carried.meter || carried.closing.valid()) return;
    carried.meter = meter;
    carried.ends_by = kNever;
    carried.pair.set_lanes(meter == nullptr ? nullptr : &meter->to_host(),
                           meter == nullptr ? nullptr : &meter->from_host());
    ready_.add(handle, carried);
  });
}

// The flow's name must lead the guest's packets to the socket until it has them all.
void Carrier::end_when_delivered(SlabHandle handle, Carried& carried, flow::Turn turn) {
  if (carried.closing.valid()) {
    const auto standing = carried.closing.connect_result();
    const auto under_way = carried.closing.unacknowledged_bytes();
    if (standing && under_way && *under_way > 0) {
      timers_.arm(carried.timer, turn.now + kLookAgain);  // An event tells, too.
      return;
    }
    // The kernel goes on counting what a reset or a time-out has thrown away.
    if (!standing) {
      const bool timed_out = standing.error().error == ETIMEDOUT;
      carried.outcome = timed_out ? policy::Outcome::kTimedOut : policy::Outcome::kResetByGuest;
    }
  }
  const flow::TcpId id = carried.id;
  const policy::Outcome outcome = carried.outcome;
  timers_.cancel(carried.timer);
  carried_.erase(handle);
  flows_.on_carried_to_end(id, outcome, turn);
}

Instant Carrier::next_wakeup(Instant now) {
  // Buffers and pipes outlive the last connection by a little.
  const Instant timers = std::min(timers_.next_wakeup(), carried_.size() == 0 ? kNever : look_at_);
  return std::min(timers, pools_.trim(now));
}

void Carrier::on_time(Instant now) {
  if (carried_.size() == 0) return;
  while (TimerNode* timer = timers_.pop_due(now)) {
    const SlabHandle handle = SlabHandle::unpack(timer->owner());
    if (Carried* carried = carried_.find(handle)) ready_.add(handle, *carried);
  }
  if (now >= look_at_) look_for_segments(now);
}

// The guest's kernel answered our question with a RST: it has forgotten the connection, its FIN is
// passed on, and nothing that the host sent is under way. A guest that refuses data fails instead.
[[gnu::cold]] bool Carrier::forgotten(Carried& carried) {
  relay::Pair& pair = carried.pair;
  if (!pair.has_all(relay::Side::kTarget) || pair.has_all(relay::Side::kClient)) return false;
  const auto unread = pair.socket(relay::Side::kTarget).readable_bytes();
  const auto under_way = pair.socket(relay::Side::kClient).unacknowledged_bytes();
  const auto asked = pair.socket(relay::Side::kClient).unanswered_probes();
  return pair.held_for_client() == 0 && unread == 0U && under_way == 0U && asked.value_or(0) > 0;
}

// The host is told when it sends something.
[[gnu::cold]] void Carrier::forget(SlabHandle handle, Carried& carried, flow::Turn turn) {
  const flow::TcpId id = carried.id;
  timers_.cancel(carried.timer);
  carried.pair.socket(relay::Side::kTarget).close_and_forget();
  carried.pair.stop(pools_, relay::StopHow::kClose);
  carried_.erase(handle);
  flows_.on_carried_to_end(id, policy::Outcome::kResetByGuest, turn);
}

// Segments without data make no event, and yet the guest has shown that it is there.
void Carrier::look_for_segments(Instant now) {
  look_at_ = now + kLook;
  carried_.for_each([&](SlabHandle, Carried& carried) {
    if (carried.keep_alive != 0 && !carried.closing.valid()) {
      heed_silence(carried);
      const Duration half = std::chrono::seconds(carried.keep_alive) / 2;
      look_at_ = std::min(look_at_, now + std::max(half, kLookOften));
    }
    const auto info = sys::read_tcp_info(pools_.kernel(), carried.guest_fd);
    if (!info || info->segments_in == carried.segments_seen) return;
    const std::uint32_t segments = info->segments_in - carried.segments_seen;
    carried.segments_seen = info->segments_in;
    // While we ask the guest, its segments are answers.
    if (!carried.watched) {
      note_probe(carried, now, segments);
    }
    flows_.on_carried(carried.id, carried.pair.bytes_to_target(), carried.pair.bytes_to_client(),
                      now);
  });
}

void Carrier::watch_half_closed(Carried& carried) {
  if (carried.watched || carried.closing.valid()) return;
  relay::Pair& pair = carried.pair;
  if (!pair.has_all(relay::Side::kTarget) || pair.has_all(relay::Side::kClient)) return;
  carried.watched = true;
  pair.socket(relay::Side::kClient)
      .keep_alive({.idle_seconds = kHalfClosedCheckSeconds,
                   .interval_seconds = kHalfClosedCheckSeconds,
                   .count = 127});
}

// The kernel answers the guest's keep-alives, so the host is asked a little before the guest asks.
// When each came nobody tells us, only how many did since we last looked. A segment without data
// may be another thing, such as a window that opens: it takes two looks in a row.
void Carrier::note_probe(Carried& carried, Instant at, std::uint32_t segments) {
  const Duration silence = (at - carried.probed_at) / static_cast<std::int64_t>(segments);
  if (silence < kProbesApart) return;
  const Duration before = std::exchange(carried.silence, silence);
  carried.probed_at = at;
  const Duration apart = silence > before ? silence - before : before - silence;
  if (before == Duration{} || apart > std::max(kLook, silence / 8)) return;
  const auto seconds =
      static_cast<std::uint32_t>(std::chrono::round<std::chrono::seconds>(silence).count());
  if (carried.keep_alive != 0 && seconds >= carried.keep_alive) return;
  carried.keep_alive = seconds;
  look_at_ = std::min(look_at_, at + kLookOften);
  // The guest decides when it was asked often enough; tcp(7) takes no more than 127.
  carried.pair.socket(relay::Side::kTarget)
      .keep_alive({.idle_seconds = std::max(seconds - 1, 1U),
                   .interval_seconds = std::clamp(seconds / 4, 1U, kProbeIntervalMaxSeconds),
                   .count = 127});
}

// Where nobody answers our questions, the guest's are not answered either: how often it asks, and
// when it gives up, only its own kernel knows.
void Carrier::heed_silence(Carried& carried) {
  const auto unanswered = carried.pair.socket(relay::Side::kTarget).unanswered_probes();
  const bool silent = unanswered.value_or(0) >= kSilentAfter;
  if (silent == carried.deaf) return;
  carried.deaf = silent;
  carried.pair.socket(relay::Side::kClient).set_deaf(silent);
}

void Carrier::note_waiting() {
  carried_.for_each([&](SlabHandle, Carried& carried) {
    if (carried.closing.valid()) {
      flows_.on_carried_waiting(carried.id, 0, true);
      return;
    }
    relay::Pair& pair = carried.pair;
    const std::size_t queued = pair.socket(relay::Side::kClient).readable_bytes().value_or(0);
    flows_.on_carried_waiting(carried.id, pair.held_for_target() + queued,
                              pair.has_all(relay::Side::kTarget));
  });
}

}  // namespace sluice::driver
