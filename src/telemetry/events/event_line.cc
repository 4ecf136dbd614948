#include "telemetry/events/event_line.h"

#include <algorithm>
#include <string_view>

#include "base/overloaded.h"
#include "telemetry/events/dns_text.h"
#include "telemetry/events/question_line.h"
#include "telemetry/json_line.h"
#include "telemetry/text.h"

namespace sluice::telemetry {
namespace {

// Readers that know a lower one may not understand what is written.
constexpr std::uint64_t kVersion = 1;

void begin(JsonLine& line, const EventHead& head, EventType type) {
  line.number("v", kVersion);
  line.number("seq", head.sequence);
  line.filled("time", [&](fmt::memory_buffer& to) { append_time(to, head.time); });
  line.text("run", head.run);
  line.text("type", to_string(type));
}

// "made room" as programs like it: "made-room".
void kebab(JsonLine& line, std::string_view key, std::string_view words) {
  line.filled(key, [&](fmt::memory_buffer& to) {
    for (const char c : words) to.push_back(c == ' ' ? '-' : c);
  });
}

void name(JsonLine& line, std::string_view key, std::string_view value) {
  if (value.empty()) {
    line.null(key);
    return;
  }
  line.filled(key, [&](fmt::memory_buffer& to) {
    append_name(to, value.substr(0, kNameShown));
    if (value.size() > kNameShown) to.append(std::string_view("..."));
  });
}

void text_or_null(JsonLine& line, std::string_view key, std::string_view value) {
  if (value.empty()) {
    line.null(key);
  } else {
    line.text(key, value);
  }
}

void seconds(JsonLine& line, std::string_view key, Duration duration) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  line.decimal(key, static_cast<std::uint64_t>(std::max<std::int64_t>(micros, 0)), 6);
}

void decision(JsonLine& line, policy::Verdict verdict) {
  line.text("reason", policy::reason_id(verdict));
  line.text("decided_by", policy::decided_by(verdict));
}

// Of which policy. A rule has the id that a person gave it.
template <typename Ruled>
void ruling(JsonLine& line, const Ruled& ruled) {
  if (ruled.rule.empty()) {
    line.null("rule");
  } else {
    line.text("rule", ruled.rule.substr(0, kRuleShown));
  }
  line.number("generation", ruled.generation);
}

void flow_number(JsonLine& line, std::uint64_t number) {
  line.filled("flow", [&](fmt::memory_buffer& to) {
    fmt::format_to(std::back_inserter(to), "{:016x}", number);
  });
}

void ends(JsonLine& line, std::string_view key, const wire::Endpoint& end) {
  line.filled(key, [&](fmt::memory_buffer& to) { append_address(to, end.address); });
}

void members(JsonLine& line, const StartEvent& event) {
  line.text("program", event.program);
  line.text("version", event.version);
}

void members(JsonLine& line, const FlowEvent& event) { add_flow(line, event.flow); }

void members(JsonLine& line, const QueryEvent& event) {
  name(line, "name", event.name);
  line.text("query", dns_type_text(event.type));
  line.text("result", to_string(event.result));
  line.text("source", event.source);
  if (event.result == QueryResult::kRefused || event.result == QueryResult::kWouldRefuse) {
    line.null("rcode");
  } else {
    line.text("rcode", dns_rcode_text(event.rcode));
  }
  line.number("addresses", event.addresses);
  decision(line, event.verdict);
  ruling(line, event);
}

void members(JsonLine& line, const GateEvent& event) {
  flow_number(line, event.flow);
  line.text("proto", "tcp");
  line.text("direction", "out");
  ends(line, "guest", event.guest);
  line.number("guest_port", event.guest.port.value);
  name(line, "name", event.name);
  line.text("name_source", event.name.empty() ? "none" : event.kind == "tls" ? "sni" : "host");
  ends(line, "address", event.peer);
  line.number("port", event.peer.port.value);
  line.text("kind", event.kind);
  line.flag("ech", event.encrypted_hello);
  line.text("result", event.verdict == policy::Verdict::kAccepted ? "passed"
                      : event.audited                             ? "would-refuse"
                                                                  : "refused");
  decision(line, event.verdict);
  ruling(line, event);
}

void members(JsonLine& line, const PolicyEvent& event) {
  line.text("by", event.by);
  if (event.change.empty()) {
    line.null("change");
  } else {
    line.text("change", event.change.substr(0, kNameShown + kRuleShown));
  }
  line.text("default", to_string(event.fallback));
  line.number("rules", event.rules);
  line.number("generation", event.generation);
}

void members(JsonLine& line, const ReloadEvent& event) {
  line.text("by", event.by);
  line.text("result", event.error.empty() ? "done" : "failed");
  text_or_null(line, "error", event.error.substr(0, kErrorShown));
  line.number("rules", event.rules);
  line.number("listeners_opened", event.opened);
  line.number("listeners_closed", event.closed);
  line.number("generation", event.generation);
}

void members(JsonLine& line, const LeftOutEvent& event) {
  line.number("left_out", event.count);
  decision(line, event.verdict);
  if (event.type == EventType::kDns || event.type == EventType::kGate) return;
  kebab(line, "outcome", policy::to_string(event.outcome));
}

void members(JsonLine& line, const AskEvent& event) { add_question(line, event.question); }

void members(JsonLine& line, const DecisionEvent& event) {
  line.number("question", event.question.id);
  add_subject(line, event.question);
  line.text("result", event.result);
  text_or_null(line, "scope", event.scope);
  text_or_null(line, "of", event.breadth);
  text_or_null(line, "rule", event.rule);
  text_or_null(line, "by", event.by);
  line.flag("late", event.late);
  line.number("flows", event.flows);
}

void members(JsonLine& line, const EndEvent& event) {
  line.number("status", static_cast<std::uint64_t>(std::max(event.status, 0)));
  line.number("events_lost", event.events_lost);
}

}  // namespace

EventType type_of_end(policy::Verdict verdict) {
  const std::string_view by = policy::decided_by(verdict);
  if (verdict == policy::Verdict::kAccepted) return EventType::kClose;
  if (verdict == policy::Verdict::kRevoked || by == "person") return EventType::kRevoke;
  return by == "limits" || by == "system" ? EventType::kLimit : EventType::kDeny;
}

EventType type_of(const Event& event) {
  return std::visit(Overloaded{[](const StartEvent&) { return EventType::kStart; },
                               [](const FlowEvent& flow) {
                                 return flow.flow.opening ? EventType::kOpen
                                                          : type_of_end(flow.flow.verdict);
                               },
                               [](const QueryEvent&) { return EventType::kDns; },
                               [](const GateEvent&) { return EventType::kGate; },
                               [](const PolicyEvent&) { return EventType::kPolicy; },
                               [](const ReloadEvent&) { return EventType::kReload; },
                               [](const LeftOutEvent& left_out) { return left_out.type; },
                               [](const AskEvent&) { return EventType::kAsk; },
                               [](const DecisionEvent&) { return EventType::kDecision; },
                               [](const EndEvent&) { return EventType::kEnd; }},
                    event);
}

void add_flow(JsonLine& line, const FlowRecord& flow) {
  flow_number(line, flow.number);
  line.text("proto", policy::to_string(flow.protocol));
  line.text("direction", to_string(flow.direction));
  if (flow.forwarded != nullptr && flow.guest.address.is_unspecified()) {
    line.null("guest");
  } else {
    ends(line, "guest", flow.guest);
  }
  line.number("guest_port", flow.guest.port.value);
  name(line, "name", flow.name);
  line.text("name_source", flow.name.empty() ? "none" : flow.name_source);
  ends(line, "address", flow.peer);
  line.number("port", flow.peer.port.value);
  if (flow.forwarded != nullptr) {
    line.text("listen", flow.forwarded->listen);
    text_or_null(line, "target", flow.forwarded->target);
  } else if (flow.target) {
    line.filled("target",
                [&](fmt::memory_buffer& to) { append_address(to, flow.target->address); });
  }
  decision(line, flow.verdict);
  ruling(line, flow);
  if (flow.would_refuse != policy::Verdict::kAccepted) {
    line.text("would_deny", policy::reason_id(flow.would_refuse));
  }
  if (flow.opening) return;
  line.filled("opened", [&](fmt::memory_buffer& to) { append_time(to, flow.opened); });
  seconds(line, "duration_s", flow.duration);
  line.number("bytes_to_host", flow.bytes_to_host);
  line.number("bytes_to_guest", flow.bytes_to_guest);
  if (flow.round_trip > Duration{}) seconds(line, "rtt_s", flow.round_trip);
  line.text("path", to_string(flow.path));
  if (flow.forwarded != nullptr) line.flag("connecting", flow.forwarded->connecting);
  kebab(line, "outcome", policy::to_string(flow.outcome));
}

void append_event(fmt::memory_buffer& out, const EventHead& head, const Event& event) {
  JsonLine line(out);
  begin(line, head, type_of(event));
  std::visit([&](const auto& one) { members(line, one); }, event);
  line.end_line();
}

void append_lost(fmt::memory_buffer& out, const EventHead& head, std::uint64_t count) {
  JsonLine line(out);
  begin(line, head, EventType::kLost);
  line.number("count", count);
  line.end_line();
}

}  // namespace sluice::telemetry
