#include "forward/session/session_accounting.h"

namespace sluice::forward {

void log_session(SessionLog& log, const Rule& rule, const SessionFacts& facts, Instant now) {
  if (!log.enabled()) return;
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

}  // namespace sluice::forward
