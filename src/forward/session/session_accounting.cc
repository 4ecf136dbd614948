#include "forward/session/session_accounting.h"

#include "forward/session/session_record.h"
#include "forward/session/worker_context.h"

namespace sluice::forward {
namespace {

void log_session(SessionLog& log, const Rule& rule, const SessionFacts& facts, Instant now) {
  SessionEvent event{.result = facts.result,
                     .rule = rule.name,
                     .client = facts.client,
                     .listen_host = rule.listen.is_unix() ? rule.listen.path : rule.listen.host,
                     .listen_port = facts.listen_port,
                     .target_host = {},
                     .target_port = 0,
                     .udp = facts.udp,
                     .bytes_from_client = facts.bytes.to_target,
                     .bytes_to_client = facts.bytes.to_client,
                     .duration = facts.duration,
                     .error = facts.error};
  if (facts.attempt != nullptr && facts.attempt->target < rule.targets.size()) {
    const Place& place = rule.targets[facts.attempt->target].place;
    event.target_host = place.is_unix() ? place.path : place.host;
    event.target_port = place.is_unix()
                            ? std::uint16_t{}
                            : static_cast<std::uint16_t>(place.port + facts.attempt->port_offset);
  }
  log.write(event, now);
}

}  // namespace

SessionRecord record_of(const std::shared_ptr<LiveRule>& rule, const SessionFacts& facts) {
  SessionRecord record{.number = facts.number,
                       .rule = rule,
                       .result = facts.result,
                       .error = facts.error,
                       .client = facts.client,
                       .listen_port = facts.listen_port,
                       .target = std::nullopt,
                       .udp = facts.udp,
                       .bytes = facts.bytes,
                       .duration = facts.duration,
                       .time = std::chrono::system_clock::now()};
  if (facts.attempt != nullptr && facts.attempt->tried != 0 &&
      facts.attempt->target < rule->plan.targets.size()) {
    record.target = {.target = facts.attempt->target, .port_offset = facts.attempt->port_offset};
  }
  return record;
}

bool is_told(const WorkerContext& context) {
  return context.log.enabled() || (context.outbox != nullptr && context.outbox->wanted());
}

void tell_session(WorkerContext& context, const std::shared_ptr<LiveRule>& rule,
                  const SessionFacts& facts) {
  if (context.log.enabled()) log_session(context.log, rule->plan, facts, context.now);
  if (context.outbox != nullptr && context.outbox->wanted()) {
    context.outbox->add(record_of(rule, facts));
  }
}

}  // namespace sluice::forward
