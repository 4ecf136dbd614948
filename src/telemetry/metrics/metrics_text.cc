#include "telemetry/metrics/metrics_text.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "telemetry/metrics/exposition.h"

namespace sluice::telemetry {
namespace {

constexpr std::array kProtocols{policy::Protocol::kTcp, policy::Protocol::kUdp,
                                policy::Protocol::kIcmp};
constexpr std::array kPaths{FlowPath::kTap, FlowPath::kKernel, FlowPath::kRelay};
static_assert(kProtocols.size() == policy::kProtocolCount && kPaths.size() == kPathCount);

[[nodiscard]] std::string_view word_of(policy::Verdict verdict) {
  if (verdict == policy::Verdict::kAccepted) return "accepted";
  const bool lived = verdict == policy::Verdict::kRevoked || verdict == policy::Verdict::kKilled;
  return lived ? "revoked" : "refused";
}

void add_flows(Exposition& text, const Totals& totals) {
  text.family("sluice_flows_total", MetricType::kCounter,
              "Flows that have ended or were refused, by what was decided about them.");
  for (const policy::Protocol protocol : kProtocols) {
    for (std::size_t i = 0; i < policy::kVerdictCount; ++i) {
      const auto verdict = static_cast<policy::Verdict>(i);
      const std::uint64_t count = totals.ended.of(protocol, verdict);
      // What never happened is left out, but for what everybody looks for first.
      if (count == 0 && verdict != policy::Verdict::kAccepted) continue;
      text.value({{"proto", policy::to_string(protocol)},
                  {"verdict", word_of(verdict)},
                  {"reason", policy::reason_id(verdict)}},
                 count);
    }
  }
  text.family("sluice_flows_open", MetricType::kGauge,
              "Flows that live, by who moves their bytes.");
  for (const policy::Protocol protocol : kProtocols) {
    for (const FlowPath path : kPaths) {
      if (path != FlowPath::kTap && protocol != policy::Protocol::kTcp) continue;
      text.value({{"proto", policy::to_string(protocol)}, {"path", to_string(path)}},
                 totals.open[static_cast<std::size_t>(protocol)][static_cast<std::size_t>(path)]);
    }
  }
}

void add_bytes(Exposition& text, const Totals& totals) {
  text.family("sluice_bytes_total", MetricType::kCounter,
              "Payload that was moved, of flows that live and of those that ended.");
  const auto add = [&](std::string_view direction, std::uint64_t BytesMoved::* way) {
    const std::uint64_t all = totals.bytes.*way;
    const std::uint64_t carried = totals.carried.*way;
    const std::uint64_t relayed = totals.relayed.*way;
    const auto value = [&](FlowPath path, std::uint64_t bytes) {
      text.value({{"direction", direction}, {"path", to_string(path)}}, bytes);
    };
    value(FlowPath::kTap, all - std::min(all, carried + relayed));
    value(FlowPath::kKernel, carried);
    value(FlowPath::kRelay, relayed);
  };
  add("to_host", &BytesMoved::to_host);
  add("to_guest", &BytesMoved::to_guest);
}

void add_dns(Exposition& text, const Totals& totals) {
  text.family("sluice_dns_queries_total", MetricType::kCounter,
              "Questions of the guest, by what became of them.");
  for (const ResultCount& one : totals.dns) text.value({{"result", one.result}}, one.value);
  text.family("sluice_dns_unanswered_total", MetricType::kCounter,
              "Questions that no resolver of the host answered.");
  text.value({}, totals.dns_unanswered);
  text.family("sluice_dns_upstream_seconds", MetricType::kHistogram,
              "From a question to the answer of the host's resolver.");
  text.histogram(totals.dns_upstream);
}

void add_gate(Exposition& text, const Totals& totals) {
  text.family("sluice_gate_total", MetricType::kCounter,
              "First bytes and requests that were judged by what they name.");
  for (const ResultCount& one : totals.gate) {
    text.value({{"kind", one.kind}, {"result", one.result}}, one.value);
  }
}

void add_drops(Exposition& text, const Snapshot& snapshot) {
  text.family("sluice_drops_total", MetricType::kCounter,
              "Packets, questions and flows that were dropped or refused.");
  for (const Counter& drop : snapshot.drops) text.value({{"reason", drop.name}}, drop.value);
}

void add_ask(Exposition& text, const AskMetrics& ask) {
  text.family("sluice_ask_pending", MetricType::kGauge, "Questions that wait for an answer.");
  text.value({}, ask.pending);
  text.family("sluice_ask_total", MetricType::kCounter,
              "Questions that were answered, by whom or by time; of queue-full: flows.");
  for (const ResultCount& one : ask.answers) text.value({{"answer", one.result}}, one.value);
}

void add_single(Exposition& text, const RunMetrics& run) {
  text.family("sluice_hand_overs_total", MetricType::kCounter,
              "Connections that were handed over to the guest's kernel, or could not be.");
  text.value({{"result", "done"}}, run.totals.handed_over);
  text.value({{"result", "failed"}}, run.totals.hand_overs_failed);
  text.family("sluice_pins", MetricType::kGauge, "Addresses that are pinned to names.");
  text.value({}, run.totals.pins);
  text.family("sluice_policy_generation", MetricType::kGauge,
              "Of the policy: 1 at the start, one more with each change.");
  text.value({}, run.generation);
  text.family("sluice_policy_rules", MetricType::kGauge, "Rules of the policy.");
  text.value({}, run.rules);
  text.family("sluice_events_lost_total", MetricType::kCounter,
              "Events that a file or a subscriber was too slow for.");
  text.value({}, run.events_lost);
  text.family("sluice_build_info", MetricType::kGauge, "Which program this is; always 1.");
  text.value({{"version", run.version}, {"program", run.program}}, 1);
}

}  // namespace

void append_metrics(fmt::memory_buffer& out, const RunMetrics& run) {
  Exposition text(out);
  add_flows(text, run.totals);
  add_bytes(text, run.totals);
  add_dns(text, run.totals);
  add_gate(text, run.totals);
  add_ask(text, run.ask);
  add_drops(text, run.snapshot);
  add_single(text, run);
}

}  // namespace sluice::telemetry
