// Bytes and log lines of sessions with a datagram side.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "forward/live_rule.h"
#include "forward/session_event.h"
#include "forward/session_log.h"

namespace sluice::forward {

// Bytes of one session, and how many of them the rule's counters have already.
struct DatagramTally {
  std::uint64_t to_target = 0;
  std::uint64_t to_client = 0;
  std::uint64_t published_to_target = 0;
  std::uint64_t published_to_client = 0;

  void publish(RuleCounters& counters);
};

inline void count_one(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
  if (by != 0) counter.fetch_add(by, std::memory_order_relaxed);
}

// What one line of the log says of such a session.
struct DatagramLine {
  SessionResult result{};
  int error = 0;
  wire::Endpoint client;
  std::uint16_t listen_port = 0;
  const Attempt* attempt = nullptr;  // Null: no target was chosen.
  bool udp = false;                  // The client's side.
  DatagramTally tally{};
  Duration duration{};
};

void log_line(SessionLog& log, const Rule& rule, const DatagramLine& line, Instant now);

}  // namespace sluice::forward
