#include "relay/direction.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace sluice::relay {
namespace {

// What one direction may move before others get their turn: some 50 µs of work either way.
constexpr std::size_t kCopyShare = 256 * 1024;
constexpr std::size_t kSpliceShare = 2 * 1024 * 1024;

// When to splice and when to copy; docs/adr/0006-relay.md has the reasons and the figures.
//
// A direction is bulk when a single turn brings this much: the sender is ahead of us.
constexpr std::size_t kBulkTurn = 128 * 1024;
// Or when this many turns in a row bring this much each: we keep up with a steady stream.
constexpr std::size_t kBusyTurn = 32 * 1024;
constexpr std::uint8_t kBusyTurns = 4;
// It is no longer bulk when in this many turns in a row a splice brought less than this: few bytes
// are there, or they lie in so many pieces that the pipe's slots were used up.
constexpr std::size_t kThinSplice = 16 * 1024;
constexpr std::uint8_t kThinTurns = 4;

// Gathering: a stream that is bulk and nothing else need not wake us for each segment. The kernel
// is asked to tell of a pipe's worth only (SO_RCVLOWAT), and after kGatherTime we look at what is
// there. It saves a third of the processor time of a fast stream, half of eight. Its price is that
// the tail of a burst may wait for so long, so it begins after this many bytes without one the
// other way: whoever answers does not wait.
constexpr std::uint64_t kGatherAfter = 16 * 1024 * 1024;
// Longer than a time slice, for which the sender may pause on a busy machine.
constexpr Duration kGatherTime = std::chrono::milliseconds{5};
// Less than this in kGatherTime is no fast stream.
constexpr std::size_t kThinGather = 512 * 1024;

constexpr std::size_t kClaimMax = 1024 * 1024;  // Of a lane that others draw on, for one read.
// Until memory is asked for again after there was none.
constexpr Duration kMemoryPause = std::chrono::milliseconds{10};

// Not SPLICE_F_MORE: it would hold back the last, partial segment for 200 ms.
constexpr unsigned kSpliceFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

// errno of a splice that this pair of descriptors, or the system now, cannot do. The others are
// the socket's own error, which is told once only.
bool splice_impossible(int error) {
  return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == ENOMEM ||
         error == ENOBUFS;
}

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

struct Direction::Turn {
  const Ends& ends;
  Pools& pools;
  Instant now;
  std::size_t received = 0;
  std::size_t reads = 0;  // That brought something.
  int error = 0;
  std::size_t claimed = 0;  // Of the lane, for the next read.
  bool looked = false;      // The time to gather is over; what is there was read.
};

void Direction::start(Mode mode, Transport source, const Throttle& throttle) {
  gather_after_ = mode == Mode::kCopy ? std::numeric_limits<std::uint64_t>::max() : kGatherAfter;
  mode_ = mode;
  carriage_ = mode == Mode::kSplice ? Carriage::kSplice : Carriage::kCopy;
  if (source == Transport::kOther) read_to_end_ = true;
  throttle_ = throttle;
}

bool Direction::set_head(ByteView head, Pools& pools) {
  if (head.empty()) return true;
  buffer_ = pools.buffers().take_at_least(head.size());
  if (!buffer_.valid()) return false;
  std::memcpy(buffer_.data(), head.data(), head.size());
  end_ = static_cast<std::uint32_t>(head.size());
  head_waits_ = true;
  return true;
}

void Direction::note_source(std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) == 0) return;
  source_ready_ = true;
  if ((events & EPOLLRDHUP) != 0) fin_noted_ = true;
  // A pending error comes after the bytes.
  if ((events & (EPOLLERR | EPOLLPRI)) != 0) read_to_end_ = true;
  // A splice cannot pass an urgent mark.
  if ((events & EPOLLPRI) != 0) splice_refused_ = true;
}

void Direction::note_target(std::uint32_t events) {
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) target_ready_ = true;
}

Direction::Result Direction::pump(const Ends& ends, Pools& pools, Instant now) {
  Turn turn{.ends = ends, .pools = pools, .now = now};
  Step step = run(turn);
  const bool gathered = gathering_;
  settle(turn);
  // Whatever is there by now makes an event again.
  if (gathered && !gathering_ && step == Step::kLater) step = Step::kEmpty;
  return {step, turn.error};
}

[[gnu::noinline]] Direction::Step Direction::run(Turn& turn) {
  if (head_waits_) [[unlikely]] {
    if (const Step step = join_head(turn); step != Step::kGoOn) return step;
  }
  for (;;) {
    if (held() > 0) {
      if (!target_ready_) return Step::kFull;
      const Step step = pipe_ == nullptr ? send(turn) : splice_out(turn);
      if (step != Step::kGoOn) return step;
      continue;  // Interrupted, it still holds them.
    }
    if (source_ended_) {
      ended_ = true;
      return Step::kEnded;
    }
    if (!source_ready_) {
      if (!gathering_) return Step::kEmpty;
      if (turn.looked || turn.now < resume_at_) return Step::kLater;
      turn.looked = true;
    }
    if (turn.received >= share()) return Step::kShare;
    const std::size_t allowed = allowance(turn);
    if (allowed == 0) return Step::kLater;
    const Step step = take_some(turn, allowed);
    if (step != Step::kGoOn) return step;
  }
}

// The first bytes of the source go out behind the head in one segment, if they are there.
[[gnu::cold]] Direction::Step Direction::join_head(Turn& turn) {
  head_waits_ = false;
  if (!source_ready_ || end_ == buffer_.size()) return Step::kGoOn;
  const std::size_t allowed = allowance(turn);
  return allowed == 0 ? Step::kGoOn : take_some(turn, allowed);
}

Direction::Step Direction::take_some(Turn& turn, std::size_t allowed) {
  const std::size_t before = turn.received;
  // What is held goes out of the buffer that it is in.
  const Step step =
      held() == 0 && splices(turn) ? splice_in(turn, allowed) : receive(turn, allowed);
  if (turn.claimed != 0) [[unlikely]] {
    throttle_.lane->settle(std::exchange(turn.claimed, 0), turn.received - before, turn.now);
  }
  return step;
}

Direction::Step Direction::receive(Turn& turn, std::size_t allowed) {
  if (!buffer_.valid()) {
    buffer_ = turn.pools.buffers().take();
    if (!buffer_.valid()) [[unlikely]]
      return no_memory(turn);
  }
  const std::size_t wanted = std::min(buffer_.size() - end_, allowed);
  const ssize_t got =
      turn.pools.kernel().recv(turn.ends.source, buffer_.data() + end_, wanted, MSG_DONTWAIT);
  if (got <= 0) return received_nothing(turn, got);
  took_in(turn, static_cast<std::size_t>(got));
  if (static_cast<std::size_t>(got) < wanted && !read_to_end_) {
    source_ready_ = false;
    source_ended_ = fin_noted_;
  }
  return Step::kGoOn;
}

Direction::Step Direction::received_nothing(Turn& turn, std::ptrdiff_t result) {
  if (result == 0) {
    source_ended_ = true;
  } else if (would_block(errno)) {
    source_ready_ = false;
  } else if (errno != EINTR) {
    turn.error = errno;
    return Step::kSourceFailed;
  }
  return Step::kGoOn;
}

Direction::Step Direction::send(Turn& turn) {
  const ssize_t sent = turn.pools.kernel().send(turn.ends.target, buffer_.data() + begin_, held(),
                                                MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) return not_sent(turn);
  return took_out(static_cast<std::size_t>(sent));
}

Direction::Step Direction::splice_in(Turn& turn, std::size_t allowed) {
  const std::size_t wanted = std::min(pipe_->capacity, allowed);
  const ssize_t got =
      turn.pools.kernel().splice(turn.ends.source, pipe_->in.get(), wanted, kSpliceFlags);
  if (got <= 0) return spliced_nothing(turn, got);
  took_in(turn, static_cast<std::size_t>(got));
  return Step::kGoOn;
}

Direction::Step Direction::spliced_nothing(Turn& turn, std::ptrdiff_t result) {
  if (result < 0 && would_block(errno)) {
    source_ready_ = false;
    return Step::kGoOn;
  }
  // Nothing in front of an urgent mark looks like the end as well: a recv will tell.
  if (result == 0 || splice_impossible(errno)) {
    splice_refused_ = true;
    return Step::kGoOn;
  }
  if (errno == EINTR) return Step::kGoOn;
  turn.error = errno;
  return Step::kSourceFailed;
}

Direction::Step Direction::splice_out(Turn& turn) {
  const ssize_t sent =
      turn.pools.kernel().splice(pipe_->out.get(), turn.ends.target, held(), kSpliceFlags);
  if (sent < 0) return not_sent(turn);
  return took_out(static_cast<std::size_t>(sent));
}

Direction::Step Direction::not_sent(Turn& turn) {
  if (errno == EINTR) return Step::kGoOn;
  if (would_block(errno)) return took_out(0);
  turn.error = errno;
  return Step::kTargetFailed;
}

[[gnu::cold]] Direction::Step Direction::no_memory(const Turn& turn) {
  resume_at_ = turn.now + kMemoryPause;
  return Step::kLater;
}

void Direction::took_in(Turn& turn, std::size_t bytes) {
  end_ += static_cast<std::uint32_t>(bytes);
  turn.received += bytes;
  ++turn.reads;
  if (throttle_.rule != nullptr) throttle_.rule->take(bytes, turn.now);
  if (throttle_.client != nullptr) throttle_.client->take(bytes, turn.now);
}

Direction::Step Direction::took_out(std::size_t bytes) {
  moved_ += bytes;
  begin_ += static_cast<std::uint32_t>(bytes);
  if (held() > 0) {
    target_ready_ = false;
    return Step::kFull;
  }
  begin_ = 0;
  end_ = 0;
  return Step::kGoOn;
}

// Asked only when nothing is held, so the carriage may change. Afterwards there is a pipe or a
// buffer, never both.
bool Direction::splices(const Turn& turn) {
  if (carriage_ == Carriage::kCopy && mode_ == Mode::kAuto && turn.received >= kBulkTurn) {
    carriage_ = Carriage::kSplice;
    streak_ = 0;
  }
  if (carriage_ == Carriage::kCopy || splice_refused_) {
    drop_pipe(turn.pools);
    return false;
  }
  if (pipe_ != nullptr) return true;
  pipe_ = turn.pools.pipes().take(turn.now);
  if (pipe_ == nullptr) return false;
  drop_buffer(turn.pools);
  return true;
}

std::size_t Direction::share() const {
  return carriage_ == Carriage::kCopy ? kCopyShare : kSpliceShare;
}

std::size_t Direction::allowance(Turn& turn) {
  if (!throttle_.any()) [[likely]]
    return std::numeric_limits<std::size_t>::max();
  return throttled_allowance(turn);
}

// Once a bucket was dry it is left alone until a useful amount is in it; else every event would
// move a few bytes.
std::size_t Direction::throttled_allowance(Turn& turn) {
  const Instant now = turn.now;
  if (now < resume_at_) return 0;
  std::size_t allowed = std::numeric_limits<std::size_t>::max();
  for (const policy::TokenBucket* bucket : {throttle_.rule, throttle_.client}) {
    if (bucket == nullptr) continue;
    const std::size_t there = bucket->available(now);
    if (there == 0) resume_at_ = std::max(resume_at_, bucket->ready_at(now));
    allowed = std::min(allowed, there);
  }
  if (throttle_.lane == nullptr || allowed == 0) return allowed;
  turn.claimed = throttle_.lane->claim(std::min(allowed, kClaimMax), now);
  if (turn.claimed == 0) {
    resume_at_ = throttle_.lane->used_up() ? kNever : throttle_.lane->ready_at(now);
  }
  return turn.claimed;
}

void Direction::set_lane(policy::Lane* lane) {
  throttle_.lane = lane;
  if (!gathering_) resume_at_ = Instant{};
}

void Direction::settle(Turn& turn) {
  if (held() == 0) {
    drop_buffer(turn.pools);
    drop_pipe(turn.pools);
  }
  if (mode_ == Mode::kAuto && turn.received > 0) adapt(turn);
  if (gathering_) {
    go_on_gathering(turn);
  } else if (moved_ >= gather_after_) [[unlikely]] {
    start_gathering(turn);
  }
}

[[gnu::cold]] void Direction::start_gathering(const Turn& turn) {
  if (carriage_ != Carriage::kSplice || splice_refused_ || read_to_end_ || throttle_.any() ||
      source_ended_ || !set_low_water(turn.ends, turn.pools, turn.pools.options().pipe_size)) {
    gather_after_ = moved_ + kGatherAfter;
    return;
  }
  gathering_ = true;
  resume_at_ = turn.now + kGatherTime;
}

void Direction::go_on_gathering(const Turn& turn) {
  const bool thin = turn.looked && turn.received < kThinGather;
  if (thin || carriage_ != Carriage::kSplice || splice_refused_ || source_ended_) {
    stop_gathering(turn.ends, turn.pools);
  } else if (turn.received > 0) {
    resume_at_ = turn.now + kGatherTime;
  }
}

[[gnu::cold]] void Direction::stop_gathering(const Ends& ends, Pools& pools) {
  gathering_ = false;
  gather_after_ = moved_ + kGatherAfter;
  (void)set_low_water(ends, pools, 1);
}

// The kernel takes at most half of the largest receive buffer, and says nothing.
bool Direction::set_low_water(const Ends& ends, Pools& pools, std::size_t bytes) {
  const int mark = static_cast<int>(bytes);
  return pools.kernel().setsockopt(ends.source, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark) == 0;
}

void Direction::adapt(const Turn& turn) {
  if (carriage_ == Carriage::kCopy) {
    streak_ = turn.received >= kBusyTurn ? streak_ + 1 : 0;
    if (streak_ < kBusyTurns) return;
    carriage_ = Carriage::kSplice;
  } else {
    streak_ = turn.received / turn.reads < kThinSplice ? streak_ + 1 : 0;
    if (streak_ < kThinTurns) return;
    carriage_ = Carriage::kCopy;
  }
  streak_ = 0;
}

void Direction::answered(const Ends& ends, Pools& pools) {
  if (gathering_) [[unlikely]] {
    stop_gathering(ends, pools);
  } else if (mode_ != Mode::kCopy) {
    gather_after_ = moved_ + kGatherAfter;
  }
}

void Direction::drop_buffer(Pools& pools) {
  if (buffer_.valid()) pools.buffers().give_back(std::move(buffer_));
}

void Direction::drop_pipe(Pools& pools) {
  if (pipe_ == nullptr) return;
  if (held() == 0) {
    pools.pipes().give_back(std::move(pipe_));
  } else {
    pools.pipes().discard(std::move(pipe_));
  }
}

void Direction::release(Pools& pools) {
  drop_buffer(pools);
  drop_pipe(pools);
  begin_ = 0;
  end_ = 0;
}

}  // namespace sluice::relay
