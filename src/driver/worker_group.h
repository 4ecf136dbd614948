// All workers of a guest, as whoever serves it sees them: one, or a group of them (driver/group),
// of which the first runs in the caller's thread and the others in their own. What is asked of them
// all is asked at once, and answered when all have.
#pragma once

#include <expected>
#include <memory>
#include <vector>

#include "driver/worker.h"
#include "driver/worker_thread.h"
#include "telemetry/snapshot.h"

namespace sluice::driver {

class WorkerGroup {
 public:
  // The first is not owned.
  explicit WorkerGroup(Worker& first, std::vector<std::unique_ptr<WorkerThread>> others = {})
      : first_(first), others_(std::move(others)) {}

  // How many there are.
  [[nodiscard]] std::size_t size() const { return 1 + others_.size(); }

  // As Worker has them, of each.
  [[nodiscard]] std::expected<void, sys::SysError> begin();
  [[nodiscard]] std::expected<void, sys::SetupError> await_fast_path();
  void await_loopback() { first_.await_loopback(); }

  // The others' threads, each confined when this returns. Not the caller's.
  [[nodiscard]] std::expected<void, sys::SetupError> start(const WorkerThread::Confine& confine);
  // They serve from here on.
  void go();

  [[nodiscard]] std::expected<void, sys::SysError> watch(int fd, std::uint32_t number) {
    return first_.watch(fd, number);
  }
  void unwatch(int fd) { first_.unwatch(fd); }
  // A round of the first.
  void turn(Instant limit, Outside& outside);
  void begin_drain(Outside& outside);
  void close_link();
  // Of all together.
  [[nodiscard]] Undelivered undelivered(Outside& outside);
  // ... and their threads have ended.
  [[nodiscard]] std::vector<flow::TcpFlows::GivenUp> finish(Outside& outside);

  // As Worker has them, of all; each is carried out when this returns. Of the policy before only
  // its rules are looked at, for reports that are on their way, and until the next one.
  void set_policy(const policy::EgressPolicy& policy, std::uint64_t generation);
  bool cut_off(std::uint64_t number, policy::Verdict why);
  void tell_flows(bool wanted);
  [[nodiscard]] std::expected<void, sys::SysError> publish(PublishedPorts ports);
  void unpublish(std::string_view map);
  void lead_out(const std::vector<policy::PortMap>& ports);
  // As the first has it.
  [[nodiscard]] bool leads_out(policy::Protocol protocol, wire::Port port) const {
    return first_.leads_out(protocol, port);
  }
  // Places count on from one worker to the next.
  [[nodiscard]] std::optional<std::uint64_t> list_flows(std::uint64_t from, std::size_t max,
                                                        std::vector<flow::FlowSummary>& out);
  // As the first has them.
  void set_asker(Asker* asker) { first_.set_asker(asker); }
  void rule(std::uint32_t worker, const FlowRuled& ruled) { first_.rule(worker, ruled); }
  [[nodiscard]] telemetry::FlowRecord record_of(const flow::FlowSummary& summary) {
    return first_.record_of(summary);
  }

  [[nodiscard]] Instant now() const { return first_.now(); }
  [[nodiscard]] telemetry::Snapshot snapshot();
  [[nodiscard]] telemetry::Totals totals();
  [[nodiscard]] RuleHits rule_hits();

 private:
  void ask_others(const WorkerThread::Call& call);

  Worker& first_;
  std::vector<std::unique_ptr<WorkerThread>> others_;
  bool draining_ = false;
};

}  // namespace sluice::driver
