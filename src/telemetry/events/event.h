// What happens in a run, as the event stream tells it. docs/events.md is the schema. Texts are
// borrowed for the time of a call, and may be any bytes: a guest chose some of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "base/unreachable.h"
#include "telemetry/flow_record.h"

namespace sluice::telemetry {

enum class EventType : std::uint8_t {
  kStart,   // The first of a run.
  kOpen,    // A flow begins.
  kClose,   // A flow that was let through has ended.
  kDeny,    // One was refused by policy, or by whoever was asked.
  kLimit,   // ... or by a limit.
  kRevoke,  // One that was let through was ended: by a new policy, or by a person.
  kLost,    // Events that this reader does not get.
  kEnd,     // The last of a run.
};

inline constexpr std::size_t kEventTypeCount = static_cast<std::size_t>(EventType::kEnd) + 1;

[[nodiscard]] constexpr std::string_view to_string(EventType type) {
  switch (type) {
    case EventType::kStart: return "start";
    case EventType::kOpen: return "open";
    case EventType::kClose: return "close";
    case EventType::kDeny: return "deny";
    case EventType::kLimit: return "limit";
    case EventType::kRevoke: return "revoke";
    case EventType::kLost: return "lost";
    case EventType::kEnd: return "end";
  }
  unreachable("event type outside its enum");
}

struct StartEvent {
  std::string_view program;  // "sluice run"
  std::string_view version;
};

// kOpen, or how it ended: by its verdict.
struct FlowEvent {
  const FlowRecord& flow;
};

// So many flows were refused for the same reason, each of which would have had an event but for
// their number.
struct LeftOutEvent {
  policy::Verdict verdict = policy::Verdict::kAccepted;
  policy::Outcome outcome = policy::Outcome::kNotAccepted;
  std::uint64_t count = 0;
};

struct EndEvent {
  int status = 0;                 // Of the guest, as whoever started us gets it.
  std::uint64_t events_lost = 0;  // Over all readers.
};

using Event = std::variant<StartEvent, FlowEvent, LeftOutEvent, EndEvent>;

// Of what a flow ended with.
[[nodiscard]] EventType type_of_end(policy::Verdict verdict);
[[nodiscard]] EventType type_of(const Event& event);

}  // namespace sluice::telemetry
