// What people see of a worker while it serves, and change of it, and what is waited for before
// that.
#include <utility>

#include "driver/worker.h"

namespace sluice::driver {

void Worker::await_loopback() {
  constexpr Duration kPatience = std::chrono::seconds(10);
  const Instant until = loop_.now() + kPatience;
  while (loopback_.awaits_ports() && hand_overs_.agent().wait(until - loop_.now())) {
    hand_overs_.on_agent(settle(loop_.now()));
    settle(loop_.now());
  }
}

void Worker::set_policy(const policy::EgressPolicy& policy, std::uint64_t generation) {
  const Instant now = loop_.now();
  reporter_.rules().change(policy, generation);
  engine_.set_policy(policy, {now, sink_});
  settle(now);
  tcp_.follow_limits({now, sink_});
  hand_overs_.carrier().follow_limits();
  settle(now);
  rule_hits_.clear();
}

void Worker::bind_limits(const policy::EgressPolicy& policy) {
  if (member_) member_->group().meters().bind(policy);
}

bool Worker::cut_off(std::uint64_t number, policy::Verdict why) {
  const Instant now = loop_.now();
  const bool found = engine_.cut_off(number, why, {now, sink_});
  settle(now);
  return found;
}

std::optional<std::uint64_t> Worker::list_flows(std::uint64_t from, std::size_t max,
                                                std::vector<flow::FlowSummary>& out) const {
  return engine_.list_flows(from, max, loop_.now(), out);
}

void Worker::add_round_trips(std::span<flow::FlowSummary> flows) {
  for (flow::FlowSummary& summary : flows) {
    const flow::TcpFlow* const flow = engine_.tcp().find(summary.key);
    if (flow == nullptr) continue;
    summary.round_trip =
        summary.carried ? hand_overs_.carrier().round_trip(flow->id) : tcp_.round_trip(flow->id);
  }
}

std::expected<void, sys::SysError> Worker::publish(PublishedPorts ports) {
  const Instant now = loop_.now();
  const auto served = published_.add(std::move(ports), {now, sink_});
  settle(now);
  return served;
}

void Worker::unpublish(std::string_view map) {
  const Instant now = loop_.now();
  published_.remove(map, {now, sink_});
  settle(now);
}

void Worker::lead_out(const std::vector<policy::PortMap>& ports) {
  engine_.tcp().set_lead_out(ports);
  engine_.udp().set_lead_out(ports);
  const Instant now = loop_.now();
  if (!member_ || member_->is_first()) loopback_.follow(ports, now);
  settle(now);
}

void Worker::tell_flows(bool wanted) {
  sink_.want_openings(wanted);
  engine_.tell_sight(wanted);
  reports_ = wanted || reports_always_;
}

telemetry::FlowRecord Worker::record_of(flow::FlowSummary summary) {
  summary.generation = reporter_.rules().generation();
  return reporter_.record_of(summary, name_of(summary));
}

}  // namespace sluice::driver
