// What sessions of all kinds add to their rule's counters and to the log.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/time.h"
#include "forward/log/session_event.h"
#include "forward/log/session_log.h"
#include "forward/session/live_rule.h"

namespace sluice::forward {

inline void count_one(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
  if (by != 0) counter.fetch_add(by, std::memory_order_relaxed);
}

// Bytes of one session.
struct SessionBytes {
  std::uint64_t to_target = 0;
  std::uint64_t to_client = 0;
};

// How many of a session's bytes its rule's counters have already.
class PublishedBytes {
 public:
  // Adds what has come since to the counters. `bytes` never shrink.
  void publish(const SessionBytes& bytes, RuleCounters& counters) {
    count_one(counters.bytes_to_target, bytes.to_target - published_.to_target);
    count_one(counters.bytes_to_client, bytes.to_client - published_.to_client);
    published_ = bytes;
  }

 private:
  SessionBytes published_;
};

// What is told of a session in a line of the log, and as an event.
struct SessionFacts {
  std::uint64_t number = 0;
  SessionResult result{};
  int error = 0;
  wire::Endpoint client;
  std::uint16_t listen_port = 0;
  const Attempt* attempt = nullptr;  // Null: no target was chosen.
  bool udp = false;                  // The client's side.
  SessionBytes bytes{};
  Duration duration{};
};

struct WorkerContext;
// Whether anybody wants to know of sessions.
[[nodiscard]] bool is_told(const WorkerContext& context);
// To the log, and to whoever looks on.
void tell_session(WorkerContext& context, const std::shared_ptr<LiveRule>& rule,
                  const SessionFacts& facts);

}  // namespace sluice::forward
