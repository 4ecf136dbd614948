#include "driver/flow_reporter.h"

namespace sluice::driver {
namespace {

[[nodiscard]] policy::Protocol protocol_of(wire::IpProtocol protocol) {
  if (protocol == wire::IpProtocol::kTcp) return policy::Protocol::kTcp;
  if (protocol == wire::IpProtocol::kUdp) return policy::Protocol::kUdp;
  return policy::Protocol::kIcmp;
}

}  // namespace

FlowReporter::FlowReporter(Instant now, bool keep_report, std::optional<telemetry::FlowLog> log,
                           telemetry::EventStream* events)
    : start_(now),
      wall_start_(std::chrono::system_clock::now()),
      log_(std::move(log)),
      events_(events) {
  if (keep_report) report_.emplace();
}

void FlowReporter::add(const flow::FlowSummary& summary, std::string_view name) {
  const bool events = events_ != nullptr && events_->wanted();
  if (!report_ && !log_ && !events) return;
  const telemetry::FlowRecord record = record_of(summary, name);
  if (events) events_->add_flow(wall_time(summary.ended), record);
  if (summary.opening) return;
  if (report_) report_->add(record);
  if (log_) log_->write(record);
}

telemetry::FlowRecord FlowReporter::record_of(const flow::FlowSummary& summary,
                                              std::string_view name) const {
  telemetry::FlowRecord record{
      .protocol = protocol_of(summary.key.protocol),
      .direction = summary.inbound ? telemetry::FlowDirection::kInbound
                                   : telemetry::FlowDirection::kOutbound,
      .guest = summary.key.guest,
      .peer = summary.key.remote,
      .name = name,
      .opened = wall_time(summary.opened),
      .duration = summary.ended - summary.opened,
      .bytes_to_host = summary.bytes_to_host,
      .bytes_to_guest = summary.bytes_to_guest,
      .verdict = summary.verdict,
      .outcome = summary.outcome,
      .number = flow::flow_number(summary.key, summary.opened),
      .opening = summary.opening,
      .told = summary.told,
      .path = summary.carried ? telemetry::FlowPath::kKernel : telemetry::FlowPath::kTap};
  if (record.protocol == policy::Protocol::kIcmp) record.guest.port = {};
  return record;
}

}  // namespace sluice::driver
