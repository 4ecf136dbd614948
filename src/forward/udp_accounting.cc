#include "forward/udp_accounting.h"

namespace sluice::forward {

void DatagramTally::publish(RuleCounters& counters) {
  count_one(counters.bytes_to_target, to_target - published_to_target);
  count_one(counters.bytes_to_client, to_client - published_to_client);
  published_to_target = to_target;
  published_to_client = to_client;
}

void log_line(SessionLog& log, const Rule& rule, const DatagramLine& line, Instant now) {
  if (!log.enabled()) return;
  SessionEvent event{.result = line.result,
                     .rule = rule.name,
                     .client = line.client,
                     .listen_host = rule.listen.is_unix() ? rule.listen.path : rule.listen.host,
                     .listen_port = line.listen_port,
                     .target_host = {},
                     .target_port = 0,
                     .udp = line.udp,
                     .bytes_from_client = line.tally.to_target,
                     .bytes_to_client = line.tally.to_client,
                     .duration = line.duration,
                     .error = line.error};
  if (line.attempt != nullptr && line.attempt->target < rule.targets.size()) {
    const Place& place = rule.targets[line.attempt->target].place;
    event.target_host = place.is_unix() ? place.path : place.host;
    event.target_port = place.is_unix()
                            ? std::uint16_t{}
                            : static_cast<std::uint16_t>(place.port + line.attempt->port_offset);
  }
  log.write(event, now);
}

}  // namespace sluice::forward
