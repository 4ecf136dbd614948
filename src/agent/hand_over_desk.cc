#include "agent/hand_over_desk.h"

#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/overloaded.h"
#include "sys/steady_clock.h"

namespace sluice::agent {
namespace {

// How long the guest's kernel may take to answer a new socket. It answers within the call that
// asks, unless the processor is so busy that packets wait for a thread of their own (ksoftirqd).
constexpr Duration kAnswerWithin = std::chrono::milliseconds(20);
constexpr Duration kLookEvery = std::chrono::microseconds(100);
// Without connections for so long, the guest's packets are spared our rules.
constexpr Duration kRestAfter = std::chrono::seconds(2);

// Packets that were diverted just before a connection was taken back may still wait for the
// processor that is to deliver them. Its deaf socket outlives them.
constexpr Duration kRetiredFor = std::chrono::milliseconds(250);
constexpr std::size_t kMostRetired = 1024;

// With more connections on their way new orders wait.
constexpr std::size_t kMostUnderWay = 4 * kMostOrders;

Instant now() { return sys::steady_now(sys::real_kernel()); }

}  // namespace

HandOverDesk::HandOverDesk(const AgentChannels& channels, Divert divert)
    : channels_(channels), divert_(std::move(divert)), rest_at_(now() + kRestAfter) {}

Duration HandOverDesk::patience() const {
  if (!under_way_.empty()) return kLookEvery;
  if (!retired_.empty()) return std::max(retired_.front().until - now(), Duration(0));
  return divert_.can_rest() ? std::max(rest_at_ - now(), Duration(0)) : kForever;
}

void HandOverDesk::turn(std::span<const AgentChannels::Order> orders) {
  const Instant time = now();
  if (!orders.empty() || !under_way_.empty() || !retired_.empty()) {
    rest_at_ = time + kRestAfter;
  } else if (time >= rest_at_) {
    divert_.rest();
  }
  forget_retired();
  carry_out(orders);
  settle();
  while (under_way_.size() > kMostUnderWay) {
    constexpr timespec kPause{.tv_sec = 0, .tv_nsec = kLookEvery.count()};
    ::nanosleep(&kPause, nullptr);
    settle();
  }
}

void HandOverDesk::carry_out(std::span<const AgentChannels::Order> orders) {
  std::vector<DivertedConnection> released;
  std::vector<std::size_t> repairs;  // Who asked for one.
  const std::size_t before = under_way_.size();
  for (const auto& [worker, order] : orders) {
    std::visit(Overloaded{
                   [&, who = worker](const HandOverOrder& o) {
                     under_way_.push_back({.worker = who, .order = o});
                   },
                   [&](const ReleaseOrder& o) { released.push_back({o.guest, o.remote}); },
                   [&, who = worker](const RepairOrder&) { repairs.push_back(who); },
                   [](const SocketOrder&) {},  // Nothing to hand over.
                   [](const HurryOrder&) {},   // It has been ready all along.
               },
               order);
  }
  // Repairs come before hand-overs: those who ask for one have seen that nothing works.
  if (!repairs.empty()) repair(repairs, released);
  const std::span<Job> jobs = std::span(under_way_).subspan(before);
  for (Job& job : jobs) make_socket(job);
  divert(jobs, released);
  for (Job& job : jobs) go_live(job);
}

// All that is asked at once is done once: everything is put back, whoever misses it.
void HandOverDesk::repair(std::span<const std::size_t> askers,
                          std::vector<DivertedConnection>& released) {
  (void)divert_.change(released, {});
  released.clear();
  const auto done = divert_.repair();
  for (const std::size_t worker : askers) {
    ignore(send_repaired(channels_.fd(worker), done ? 0 : done.error().error));
  }
}

void HandOverDesk::make_socket(Job& job) {
  if (now() >= job.order.deadline) {
    job.error = ETIMEDOUT;
    return;
  }
  std::erase_if(retired_, [&](const Retired& each) { return each.name == job.name(); });
  auto socket = HandOverSocket::make(job.order.snapshot);
  if (socket) {
    job.socket = std::move(*socket);
  } else {
    job.error = socket.error().error;
  }
}

// One transaction for all of them.
void HandOverDesk::divert(std::span<Job> jobs, std::span<const DivertedConnection> released) {
  std::vector<DivertedConnection> added;
  for (const Job& job : jobs) {
    if (!job.failed()) added.push_back(job.name());
  }
  if (added.empty() && released.empty()) return;
  const std::vector<int> errors = divert_.change(released, added);
  auto error = errors.begin();
  for (Job& job : jobs) {
    if (job.failed()) continue;
    job.error = *error++;
    if (job.failed()) job.socket.reset();
  }
}

void HandOverDesk::go_live(Job& job) {
  if (job.failed()) return;
  const Instant start = now();
  if (start >= job.order.deadline) {
    job.error = ETIMEDOUT;
    return;
  }
  job.silent_until = std::min(start + kAnswerWithin, job.order.deadline);
  if (const auto live = job.socket->go_live(); !live) job.error = live.error().error;
}

void HandOverDesk::settle() {
  std::vector<Job> failed;
  const auto is_over = [&](Job& job) {
    const Outcome outcome = look_at(job);
    if (outcome == Outcome::kFailed) failed.push_back(std::move(job));
    return outcome != Outcome::kWaiting;
  };
  std::erase_if(under_way_, is_over);
  if (!failed.empty()) take_back(failed);
}

HandOverDesk::Outcome HandOverDesk::look_at(Job& job) {
  if (job.failed()) return Outcome::kFailed;
  const auto [progress, has_received] = job.socket->state();
  // The guest counts on bytes that were taken: late is better than back.
  if (has_received) return pass_on(job);
  if (progress == HandOverSocket::Progress::kDead) {
    job.error = job.socket->take_error();
    return Outcome::kFailed;
  }
  const Instant time = now();
  const bool answered = progress == HandOverSocket::Progress::kAnswered;
  if (answered && time < job.order.deadline) return pass_on(job);
  if (!answered && time < job.silent_until) return Outcome::kWaiting;
  job.error = ETIMEDOUT;
  return Outcome::kFailed;
}

HandOverDesk::Outcome HandOverDesk::pass_on(Job& job) {
  const auto sent = send_handed_over(channels_.fd(job.worker), job.order.tag, job.socket->fd());
  if (sent) {
    // It lives on by the descriptor that is on its way.
    job.socket->release().reset();
    return Outcome::kPassedOn;
  }
  job.error = sent.error().error;
  return Outcome::kFailed;
}

// The guest's packets go by the tap again before the socket vanishes: without one, the guest's
// kernel would answer them with a reset.
void HandOverDesk::take_back(std::span<Job> jobs) {
  std::vector<DivertedConnection> names;
  for (const Job& job : jobs) {
    if (job.socket) names.push_back(job.name());
  }
  if (!names.empty()) (void)divert_.change(names, {});
  for (Job& job : jobs) {
    if (job.socket && !retire(job)) continue;
    ignore(send_refused(channels_.fd(job.worker), job.order.tag, job.error));
  }
}

bool HandOverDesk::retire(Job& job) {
  const DivertedConnection name = job.name();
  // In the meantime it may have taken bytes of the guest's, also while it was frozen; then it
  // stays. It must not take any more between the look and its end.
  (void)job.socket->deafen();
  if (job.socket->state().has_received && job.socket->hear() && job.socket->go_live() &&
      divert_.change({}, {&name, 1}).front() == 0 && pass_on(job) == Outcome::kPassedOn) {
    return false;
  }
  if (retired_.size() == kMostRetired) retired_.pop_front();
  retired_.push_back({name, std::move(*job.socket), now() + kRetiredFor});
  return true;
}

void HandOverDesk::forget_retired() {
  while (!retired_.empty() && retired_.front().until <= now()) retired_.pop_front();
}

}  // namespace sluice::agent
