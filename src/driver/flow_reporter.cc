#include "driver/flow_reporter.h"

namespace sluice::driver {
namespace {

[[nodiscard]] policy::Protocol protocol_of(wire::IpProtocol protocol) {
  if (protocol == wire::IpProtocol::kTcp) return policy::Protocol::kTcp;
  if (protocol == wire::IpProtocol::kUdp) return policy::Protocol::kUdp;
  return policy::Protocol::kIcmp;
}

// Where refusals are only noted it is let through.
[[nodiscard]] policy::Verdict verdict_of(const flow::SeenClaim& claim) {
  return claim.verdict != policy::Verdict::kAccepted ? claim.verdict : claim.by.would_refuse;
}

}  // namespace

FlowReporter::FlowReporter(Instant now, bool keep_report, std::optional<telemetry::FlowLog> log,
                           const Beside& beside)
    : start_(now),
      wall_start_(std::chrono::system_clock::now()),
      log_(std::move(log)),
      events_(beside.events),
      rules_(beside.policy),
      usage_(beside.usage) {
  if (keep_report) report_.emplace();
}

void FlowReporter::add(const flow::FlowSummary& summary, std::string_view name) {
  const bool events = events_ != nullptr && events_->wanted();
  if (!report_ && !log_ && !events && usage_ == nullptr) return;
  const telemetry::FlowRecord record = record_of(summary, name);
  if (events) events_->add_flow(wall_time(summary.ended), record);
  if (summary.opening) return;
  if (report_) report_->add(record);
  if (usage_ != nullptr) usage_->add(record);
  if (log_) log_->write(record);
}

void FlowReporter::add(const Seen& seen, Instant now) {
  if (events_ == nullptr || !events_->wanted()) return;
  const auto time = wall_time(now);
  events_->leave_out(seen.queries_left_out, seen.claims_left_out);
  for (const flow::SeenQuery& query : seen.answered) {
    const bool failed = query.source == dns::AnswerSource::kNobody;
    const std::string name = query.question.name.to_text();
    events_->add_query(time, {.name = name,
                              .type = query.question.type,
                              .result = failed ? telemetry::QueryResult::kFailed
                                               : telemetry::QueryResult::kAnswered,
                              .source = to_string(query.source),
                              .rcode = query.rcode,
                              .addresses = query.addresses,
                              .rule = rules_.rule_for_query(query.question.name, seen.generation),
                              .generation = seen.generation});
  }
  for (const flow::RefusedQuery& query : seen.refused) {
    const std::string name = query.name.to_text();
    events_->add_query(time, {.name = name,
                              .type = query.type,
                              .result = seen.audited ? telemetry::QueryResult::kWouldRefuse
                                                     : telemetry::QueryResult::kRefused,
                              .source = to_string(dns::AnswerSource::kLocal),
                              .verdict = query.verdict,
                              .rule = rules_.rule_of(query.rule, seen.generation),
                              .generation = seen.generation});
  }
  for (const flow::SeenClaim& claim : seen.claims) {
    const std::string name = claim.name ? claim.name->to_text() : std::string();
    events_->add_gate(time, {.flow = claim.flow,
                             .guest = claim.key.guest,
                             .peer = claim.key.remote,
                             .kind = claim.kind,
                             .name = name,
                             .encrypted_hello = claim.encrypted_hello,
                             .verdict = verdict_of(claim),
                             .audited = claim.verdict == policy::Verdict::kAccepted,
                             .rule = rules_.rule_of(claim.by.rule, seen.generation),
                             .generation = seen.generation});
  }
}

telemetry::FlowRecord FlowReporter::record_of(const flow::FlowSummary& summary,
                                              std::string_view name) const {
  telemetry::FlowRecord record{.protocol = protocol_of(summary.key.protocol),
                               .direction = summary.inbound ? telemetry::FlowDirection::kInbound
                                                            : telemetry::FlowDirection::kOutbound,
                               .guest = summary.key.guest,
                               .peer = summary.key.remote,
                               .target = summary.target,
                               .name = name,
                               .opened = wall_time(summary.opened),
                               .duration = summary.ended - summary.opened,
                               .bytes_to_host = summary.bytes_to_host,
                               .bytes_to_guest = summary.bytes_to_guest,
                               .round_trip = summary.round_trip,
                               .verdict = summary.verdict,
                               .outcome = summary.outcome,
                               .number = flow::flow_number(summary.key, summary.opened),
                               .opening = summary.opening,
                               .told = summary.told,
                               .path = path_of(summary),
                               .name_source = to_string(summary.by.source),
                               .rule = rules_.rule_of(summary),
                               .generation = summary.generation,
                               .would_refuse = summary.by.would_refuse};
  // Of an address that the guest learnt, though no rule speaks of names.
  if (summary.by.source == flow::NameSource::kNone) record.name_source = "dns";
  if (record.protocol == policy::Protocol::kIcmp) record.guest.port = {};
  return record;
}

}  // namespace sluice::driver
