// What happens in a run, as the event stream tells it. docs/events.md is the schema. Texts are
// borrowed for the time of a call, and may be any bytes: a guest chose some of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "base/unreachable.h"
#include "policy/ask/question.h"
#include "policy/effect.h"
#include "telemetry/flow_record.h"
#include "wire/messages/dns.h"

namespace sluice::telemetry {

enum class EventType : std::uint8_t {
  kStart,     // The first of a run.
  kOpen,      // A flow begins.
  kClose,     // A flow that was let through has ended.
  kDeny,      // One was refused by policy, or by whoever was asked.
  kLimit,     // ... or by a limit.
  kRevoke,    // One that was let through was ended: by a new policy, or by a person.
  kAsk,       // People are asked whether flows may go on.
  kDecision,  // ... and what became of that.
  kDns,       // A question for a name was answered, or refused.
  kGate,      // The first bytes of a connection were judged.
  kPolicy,    // The policy is another one.
  kReload,    // A forwarder has read its configuration again.
  kLost,      // Events that this reader does not get.
  kEnd,       // The last of a run.
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
    case EventType::kAsk: return "ask";
    case EventType::kDecision: return "decision";
    case EventType::kDns: return "dns";
    case EventType::kGate: return "gate";
    case EventType::kPolicy: return "policy";
    case EventType::kReload: return "reload";
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

enum class QueryResult : std::uint8_t { kAnswered, kRefused, kFailed, kWouldRefuse };

[[nodiscard]] constexpr std::string_view to_string(QueryResult result) {
  switch (result) {
    case QueryResult::kAnswered: return "answered";
    case QueryResult::kRefused: return "refused";
    case QueryResult::kFailed: return "failed";
    case QueryResult::kWouldRefuse: return "would-refuse";
  }
  unreachable("result outside its enum");
}

struct QueryEvent {
  std::string_view name{};
  wire::DnsType type{};
  QueryResult result = QueryResult::kAnswered;
  std::string_view source{};  // Who knew the answer: "resolver", "cache", "sluice" or "none".
  wire::DnsRcode rcode{};     // Of what was not refused.
  std::uint16_t addresses = 0;
  policy::Verdict verdict = policy::Verdict::kAccepted;
  std::string_view rule{};  // Empty: none decided.
  std::uint64_t generation = 0;
};

struct GateEvent {
  std::uint64_t flow = 0;
  wire::Endpoint guest{};
  wire::Endpoint peer{};
  std::string_view kind{};       // "tls", "http" or "opaque".
  std::string_view name{};       // What it said; may be empty. Any bytes.
  bool encrypted_hello = false;  // The name may be that of a front.
  policy::Verdict verdict = policy::Verdict::kAccepted;
  bool audited = false;  // A refusal was only noted.
  std::string_view rule{};
  std::uint64_t generation = 0;
};

struct PolicyEvent {
  std::string_view by{};      // "ctl", "reload"
  std::string_view change{};  // "deny example.org"; what is not said in a word is empty.
  policy::Effect fallback = policy::Effect::kAllow;
  std::uint64_t rules = 0;
  std::uint64_t generation = 0;
};

// A forwarder's configuration, read again: in force from here on, or refused whole.
struct ReloadEvent {
  std::string_view by{};     // "ctl", "signal", "file"
  std::string_view error{};  // Empty: it is in force.
  std::uint64_t rules = 0;
  std::uint64_t opened = 0;  // Listeners.
  std::uint64_t closed = 0;
  std::uint64_t generation = 0;  // Of what is in force.
};

// So many of a type were for the same reason, each of which would have had an event but for their
// number: flows that were refused, questions, or first bytes.
struct LeftOutEvent {
  EventType type = EventType::kDeny;
  policy::Verdict verdict = policy::Verdict::kAccepted;
  policy::Outcome outcome = policy::Outcome::kNotAccepted;
  std::uint64_t count = 0;
};

// A question that waits for people from here on.
struct AskEvent {
  const policy::Question& question;
};

// What became of a question. The rule is the answer's, as it is written; empty: it made none.
struct DecisionEvent {
  const policy::Question& question;
  std::string_view result;  // "approved", "refused", "timeout", "nobody" or "policy".
  std::string_view scope{};
  std::string_view breadth{};
  std::string_view rule{};
  std::string_view by{};    // Who answered; empty: nobody.
  bool late = false;        // Nothing waited for the answer any more.
  std::uint64_t flows = 0;  // That waited.
};

struct EndEvent {
  int status = 0;                 // Of the guest, as whoever started us gets it.
  std::uint64_t events_lost = 0;  // Over all readers.
};

using Event = std::variant<StartEvent, FlowEvent, QueryEvent, GateEvent, PolicyEvent, ReloadEvent,
                           LeftOutEvent, AskEvent, DecisionEvent, EndEvent>;

// Of what a flow ended with.
[[nodiscard]] EventType type_of_end(policy::Verdict verdict);
[[nodiscard]] EventType type_of(const Event& event);

}  // namespace sluice::telemetry
