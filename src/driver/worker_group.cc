#include "driver/worker_group.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

namespace sluice::driver {
namespace {

// While what the guest left is delivered the first looks at the others so often.
constexpr Duration kLookAgain = std::chrono::milliseconds(20);
// An engine's places of flows are below.
constexpr std::uint64_t kPlacesEach = std::uint64_t{1} << 40;

}  // namespace

void WorkerGroup::ask_others(const WorkerThread::Call& call) {
  for (const auto& other : others_) other->ask(call);
  for (const auto& other : others_) other->await();
}

std::expected<void, sys::SysError> WorkerGroup::begin() {
  if (auto begun = first_.begin(); !begun) return begun;
  for (const auto& other : others_) {
    if (auto begun = other->worker().begin(); !begun) return begun;
  }
  return {};
}

std::expected<void, sys::SetupError> WorkerGroup::await_fast_path() {
  if (auto ready = first_.await_fast_path(); !ready) return ready;
  for (const auto& other : others_) {
    if (auto ready = other->worker().await_fast_path(); !ready) return ready;
  }
  return {};
}

std::expected<void, sys::SetupError> WorkerGroup::start(const WorkerThread::Confine& confine) {
  for (const auto& other : others_) {
    if (auto started = other->start(confine); !started) return started;
  }
  return {};
}

void WorkerGroup::go() {
  for (const auto& other : others_) other->go();
}

void WorkerGroup::turn(Instant limit, Outside& outside) {
  // Nothing else tells that another has delivered its last byte.
  if (draining_ && !others_.empty()) limit = std::min(limit, now() + kLookAgain);
  first_.turn(limit, outside);
}

void WorkerGroup::begin_drain(Outside& outside) {
  draining_ = true;
  ask_others([](Worker& worker, Outside& out) { worker.begin_drain(out); });
  first_.begin_drain(outside);
}

void WorkerGroup::close_link() {
  ask_others([](Worker& worker, Outside&) { worker.close_link(); });
  first_.close_link();
}

Undelivered WorkerGroup::undelivered(Outside& outside) {
  first_.read_inbox(outside);
  Undelivered all = first_.undelivered();
  std::mutex lock;
  ask_others([&](Worker& worker, Outside&) {
    const Undelivered left = worker.undelivered();
    const std::lock_guard guard(lock);
    all.flows += left.flows;
    all.bytes += left.bytes;
    all.late_resets = all.late_resets || left.late_resets;
    all.until = std::min(all.until, left.until);
    all.look_again = std::max(all.look_again, left.look_again);
  });
  return all;
}

std::vector<flow::TcpFlows::GivenUp> WorkerGroup::finish(Outside& outside) {
  std::vector<flow::TcpFlows::GivenUp> given_up;
  std::mutex lock;
  ask_others([&](Worker& worker, Outside&) {
    auto theirs = worker.finish();
    const std::lock_guard guard(lock);
    given_up.insert(given_up.end(), theirs.begin(), theirs.end());
  });
  for (const auto& other : others_) other->stop();
  first_.read_inbox(outside);  // The last of their reports.
  auto ours = first_.finish();
  given_up.insert(given_up.end(), ours.begin(), ours.end());
  return given_up;
}

// The first knows all names that the guest has asked for.
void WorkerGroup::set_policy(const policy::EgressPolicy& policy, std::uint64_t generation) {
  first_.bind_limits(policy);
  first_.set_policy(policy, generation);
  ask_others([&](Worker& worker, Outside&) { worker.set_policy(policy, generation); });
}

bool WorkerGroup::cut_off(std::uint64_t number, policy::Verdict why) {
  std::atomic<bool> found = first_.cut_off(number, why);
  if (found) return true;
  ask_others([&](Worker& worker, Outside&) {
    if (worker.cut_off(number, why)) found = true;
  });
  return found;
}

std::expected<void, sys::SysError> WorkerGroup::publish(PublishedPorts ports) {
  if (others_.empty()) return first_.publish(std::move(ports));
  std::vector<PublishedPorts> parts = std::move(ports).split(first_.frame_owner());
  auto published = first_.publish(std::move(parts.front()));
  for (std::size_t i = 0; i < others_.size() && published; ++i) {
    others_[i]->ask(
        [&](Worker& worker, Outside&) { published = worker.publish(std::move(parts[i + 1])); });
    others_[i]->await();
  }
  return published;
}

void WorkerGroup::unpublish(std::string_view map) {
  ask_others([&](Worker& worker, Outside&) { worker.unpublish(map); });
  first_.unpublish(map);
}

// Whoever waits in the guest is known to all before there is one.
void WorkerGroup::lead_out(const std::vector<policy::PortMap>& ports) {
  ask_others([&](Worker& worker, Outside&) { worker.lead_out(ports); });
  first_.lead_out(ports);
}

void WorkerGroup::tell_flows(bool wanted) {
  ask_others([&](Worker& worker, Outside&) { worker.tell_flows(wanted); });
  first_.tell_flows(wanted);
}

std::optional<std::uint64_t> WorkerGroup::list_flows(std::uint64_t from, std::size_t max,
                                                     std::vector<flow::FlowSummary>& out) {
  const std::size_t until = out.size() + max;
  std::uint64_t place = from & (kPlacesEach - 1);
  for (std::size_t at = from / kPlacesEach; at < size(); ++at, place = 0) {
    std::optional<std::uint64_t> next;
    const auto list = [&](Worker& worker) {
      const std::size_t before = out.size();
      next = worker.list_flows(place, until - before, out);
      worker.add_round_trips(std::span(out).subspan(before));
    };
    if (at == 0) {
      list(first_);
    } else {
      others_[at - 1]->ask([&](Worker& worker, Outside&) { list(worker); });
      others_[at - 1]->await();
    }
    if (next) return at * kPlacesEach + *next;
  }
  return std::nullopt;
}

telemetry::Snapshot WorkerGroup::snapshot() {
  telemetry::Snapshot all = first_.snapshot();
  std::mutex lock;
  ask_others([&](Worker& worker, Outside&) {
    const telemetry::Snapshot theirs = worker.snapshot();
    const std::lock_guard guard(lock);
    all.add(theirs);
  });
  return all;
}

RuleHits WorkerGroup::rule_hits() {
  RuleHits all = first_.rule_hits();
  std::mutex lock;
  ask_others([&](Worker& worker, Outside&) {
    const RuleHits theirs = worker.rule_hits();
    const std::lock_guard guard(lock);
    all.add(theirs);
  });
  return all;
}

telemetry::Totals WorkerGroup::totals() {
  telemetry::Totals all = first_.totals();
  std::mutex lock;
  ask_others([&](Worker& worker, Outside&) {
    const telemetry::Totals theirs = worker.totals();
    const std::lock_guard guard(lock);
    all.add(theirs);
  });
  return all;
}

}  // namespace sluice::driver
