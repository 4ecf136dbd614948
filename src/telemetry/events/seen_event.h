// An event as a reader of the stream has it: a line of docs/events.md, taken apart. The line may be
// anything: a file is what somebody wrote. What a member has of the wrong kind counts as not there.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace sluice::telemetry {

struct SeenEvent {
  using Time = std::chrono::system_clock::time_point;

  std::uint64_t sequence = 0;
  Time time{};
  std::string run;
  std::string type;  // "open"; of a newer writer: whatever it calls it.

  // Of a flow; empty where the event is of none.
  std::string flow;
  std::string proto;
  std::string direction;
  std::string guest;
  std::uint16_t guest_port = 0;
  std::string name;  // Empty: it has none.
  std::string name_source;
  std::string address;
  std::uint16_t port = 0;
  std::string reason;
  std::string decided_by;
  std::string rule;  // Empty: none.
  std::uint64_t generation = 0;
  std::string would_deny;  // Why it would have been refused, where refusals are only noted.

  // Of a flow that a forwarder leads on; else empty.
  std::string listen;  // "tcp://127.0.0.1:8080"
  std::string target;  // "tcp://10.0.0.2:80"

  // Of "dns" and "gate", which have some of the above.
  std::string query;   // "AAAA"
  std::string result;  // "answered"
  std::string source;  // "cache"
  std::string rcode;
  std::uint64_t addresses = 0;
  std::string kind;  // "tls"
  bool ech = false;

  // Of "policy".
  std::string by;
  std::string change;
  std::string fallback;
  std::uint64_t rules = 0;
  std::string error;  // Of "reload": why it failed.

  // ... and of its end.
  Time opened{};
  Duration duration{};
  std::uint64_t bytes_to_host = 0;
  std::uint64_t bytes_to_guest = 0;
  std::string path;
  std::string outcome;

  std::uint64_t question = 0;  // Of "ask" and "decision"; of the latter also:
  std::string answered_by;

  std::uint64_t count = 0;     // Of "lost".
  std::uint64_t left_out = 0;  // Refusals without an event of their own.
  std::string program;         // Of "start".
  std::uint64_t status = 0;    // Of "end".

  // Of a flow that was refused, or ended so.
  [[nodiscard]] bool is_refusal() const {
    return type == "deny" || type == "limit" || type == "revoke";
  }
  // ... or a question or first bytes; or would have been.
  [[nodiscard]] bool was_refused() const {
    return is_refusal() || result == "refused" || would_refuse();
  }
  [[nodiscard]] bool would_refuse() const {
    return !would_deny.empty() || result == "would-refuse";
  }
};

// Lines longer than this are not read; ours are shorter by far.
inline constexpr std::size_t kEventLineMax = 16 * 1024;

// Without its newline. Nothing where it is no event of a version that we know.
[[nodiscard]] std::optional<SeenEvent> read_event(std::string_view line);

// "2026-03-01T12:00:00.123456Z", of any number of digits behind the point.
[[nodiscard]] std::optional<SeenEvent::Time> parse_event_time(std::string_view text);

}  // namespace sluice::telemetry
