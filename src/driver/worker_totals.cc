// What a worker has counted over its life, of all its flows.
#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "driver/worker.h"
#include "flow/core/drop_reason.h"

namespace sluice::driver {
namespace {

// Flows that are looked at between two places of the walk.
constexpr std::size_t kFlowsEach = 512;

[[nodiscard]] policy::Protocol protocol_of(wire::IpProtocol protocol) {
  if (protocol == wire::IpProtocol::kTcp) return policy::Protocol::kTcp;
  return protocol == wire::IpProtocol::kUdp ? policy::Protocol::kUdp : policy::Protocol::kIcmp;
}

void add_dns(telemetry::Totals& totals, const dns::DnsCounters& counters) {
  for (std::size_t i = 0; i < dns::kDnsResultCount; ++i) {
    totals.dns.push_back({"", to_string(static_cast<dns::DnsResult>(i)), counters.queries[i]});
  }
  totals.dns_unanswered = counters.unanswered;
  totals.dns_upstream = counters.upstream;
}

void add_gate(telemetry::Totals& totals, const flow::GateCounters& counters) {
  for (std::size_t i = 0; i < flow::GateCounters::kKinds; ++i) {
    const auto kind = to_string(static_cast<flow::Claim::Kind>(i));
    totals.gate.push_back({kind, "passed", counters.passed[i]});
    totals.gate.push_back({kind, "refused", counters.refused[i]});
  }
}

void add_limit(const policy::Meter& meter, std::vector<telemetry::LimitUse>& to) {
  const policy::MeterUse& use = meter.use();
  const policy::TrafficLimit& limit = meter.limit();
  to.push_back({.rule = use.id,
                .to_host = use.to_host.used,
                .to_host_max = limit.to_host.bytes,
                .from_host = use.from_host.used,
                .from_host_max = limit.from_host.bytes,
                .flows = use.flows,
                .flows_max = limit.flows,
                .refused = use.refused,
                .ended = use.ended});
}

// Several targets of a rule have one between them.
void add_limits(const policy::MeterTable& meters, std::vector<telemetry::LimitUse>& to) {
  if (meters.of_run() != nullptr) add_limit(*meters.of_run(), to);
  const policy::Meter* before = nullptr;
  for (const auto& [rule, meter] : meters.of_rules()) {
    if (meter != before) add_limit(*meter, to);
    before = meter;
  }
}

}  // namespace

void Worker::count(const flow::FlowSummary& summary) {
  if (summary.opening) return;
  ended_.count(protocol_of(summary.key.protocol), summary.verdict);
  ended_bytes_.add({summary.bytes_to_host, summary.bytes_to_guest});
  rule_hits_.count(summary.by.rule);
}

RuleHits Worker::rule_hits() const {
  RuleHits hits = rule_hits_;
  std::vector<flow::FlowSummary> page;
  std::optional<std::uint64_t> next = 0;
  while (next) {
    page.clear();
    next = list_flows(*next, kFlowsEach, page);
    for (const flow::FlowSummary& flow : page) hits.count(flow.by.rule);
  }
  return hits;
}

telemetry::Totals Worker::totals() const {
  telemetry::Totals totals{.ended = ended_,
                           .bytes = ended_bytes_,
                           .carried = hand_overs_.carrier().moved(),
                           .relayed = hand_overs_.carrier().relayed(),
                           .handed_over = hand_overs_.handed_over(),
                           .hand_overs_failed = hand_overs_.failed(),
                           .pins = engine_.pins()};
  add_dns(totals, engine_.dns_counters());
  add_gate(totals, engine_.gate_counters());
  std::vector<flow::FlowSummary> page;
  page.reserve(kFlowsEach);
  std::optional<std::uint64_t> next = 0;
  while (next) {
    page.clear();
    next = list_flows(*next, kFlowsEach, page);
    for (const flow::FlowSummary& flow : page) {
      ++totals.open[static_cast<std::size_t>(protocol_of(flow.key.protocol))]
                   [static_cast<std::size_t>(path_of(flow))];
      totals.bytes.add({flow.bytes_to_host, flow.bytes_to_guest});
    }
  }
  return totals;
}

telemetry::Snapshot Worker::snapshot() const {
  telemetry::Snapshot snapshot{.flows = engine_.flow_count(),
                               .fast_path = hand_overs_.counters(),
                               .refused = refused_,
                               .report = reporter_.report() ? &*reporter_.report() : nullptr};
  for (std::size_t i = 0; i < flow::kDropReasonCount; ++i) {
    const auto reason = static_cast<flow::DropReason>(i);
    snapshot.drops.push_back({flow::to_string(reason), engine_.drops()[reason]});
  }
  // Those of a group are the same for all.
  if (!member_ || member_->is_first()) add_limits(engine_.meters(), snapshot.limits);
  return snapshot;
}

}  // namespace sluice::driver
