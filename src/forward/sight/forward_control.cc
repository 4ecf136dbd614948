#include "forward/sight/forward_control.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <utility>

#include "forward/sight/session_flow.h"
#include "telemetry/events/event_line.h"

namespace sluice::forward {
namespace {

// A place in the list of all sessions: a worker, and where in its own.
constexpr unsigned kWorkerShift = 40;
constexpr std::uint64_t kPlaceMask = (std::uint64_t{1} << kWorkerShift) - 1;

constexpr std::string_view kBusy = "a worker does not answer; try again";
constexpr std::string_view kNoSuchFlow = "there is no such flow, or it has ended";

[[nodiscard]] Instant steady_now() {
  return Instant(std::chrono::steady_clock::now().time_since_epoch());
}

void tell_next(telemetry::JsonLine& line, std::optional<std::uint64_t> next) {
  if (next) {
    line.text("next", fmt::format("{:x}", *next));
  } else {
    line.null("next");
  }
}

[[nodiscard]] std::string targets_of(const Rule& rule) {
  std::string text;
  for (const Target& target : rule.targets) {
    text += fmt::format("{}{}", text.empty() ? "" : ",", to_string(target.place));
  }
  return text;
}

[[nodiscard]] std::size_t targets_up(const LiveRule& rule) {
  std::size_t up = 0;
  for (std::uint32_t i = 0; i < rule.targets.size(); ++i) up += rule.targets.up(i) ? 1 : 0;
  return up;
}

void tell_rule(telemetry::JsonLine& line, const LiveRule& rule) {
  const auto count = [&line](std::string_view key, const auto& counter) {
    line.number(key, counter.load(std::memory_order_relaxed));
  };
  const RuleCounters& counters = *rule.counters;
  const std::size_t targets = rule.targets.size();
  line.text("rule", rule.plan.name);
  line.text("effect", "forward");
  line.text("target", fmt::format("{} > {}", to_string(rule.plan.listen), targets_of(rule.plan)));
  line.text("of", "addresses");
  line.text("source", rule.plan.where.line == 0
                          ? std::string("command line")
                          : fmt::format("{}:{}", rule.plan.where.file, rule.plan.where.line));
  if (targets > 1) line.text("note", fmt::format("{} of {} targets up", targets_up(rule), targets));
  count("hits", counters.accepted);
  count("flows", counters.active);
  count("not_allowed", counters.not_allowed);
  count("limited", counters.limited);
  count("connect_failed", counters.connect_failed);
  count("bad_proxy_header", counters.bad_proxy_header);
  count("datagrams_dropped", counters.datagrams_dropped);
  line.number("targets", targets);
  line.number("targets_up", targets_up(rule));
}

}  // namespace

ForwardControl::ForwardControl(Forwarder& forwarder, Setting setting)
    : forwarder_(forwarder), setting_(std::move(setting)), owed_(setting_.workers.size()) {}

void ForwardControl::on_request(const control::Request& request, control::Answer& answer) {
  switch (request.verb) {
    case control::Verb::kStatus: tell_status(answer); return;
    case control::Verb::kFlows: tell_flows(request, answer); return;
    case control::Verb::kRules: tell_rules(request, answer); return;
    case control::Verb::kKill: kill(request, answer); return;
    case control::Verb::kReload: reload(request, answer); return;
    case control::Verb::kAllow:
    case control::Verb::kDeny:
    case control::Verb::kRefused:
      answer.fail("no-policy",
                  "a forwarder has no policy; who may connect is in its rules: change them, "
                  "and reload");
      return;
    case control::Verb::kPublished:
    case control::Verb::kPublish:
    case control::Verb::kUnpublish:
      answer.fail("no-guest", "a forwarder has no guest whose ports it could publish");
      return;
    case control::Verb::kPending:
    case control::Verb::kApprove:
    case control::Verb::kRefuse:
      answer.fail("no-questions", "a forwarder asks no questions");
      return;
    case control::Verb::kSubscribe: break;  // The socket's own.
  }
}

void ForwardControl::on_listeners(bool any) {
  for (Worker* const worker : setting_.workers) {
    worker->outbox().want(any || setting_.events.wanted());
  }
}

void ForwardControl::tell_status(control::Answer& answer) {
  const Forwarder::Status status = forwarder_.status();
  const auto up =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_now() - setting_.begun).count();
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t failed = 0;
  std::uint64_t sessions = 0;
  for (const Worker* const worker : setting_.workers) sessions += worker->sessions();
  for (const auto& rule : status.rules) {
    const RuleCounters& counters = *rule->counters;
    accepted += counters.accepted.load(std::memory_order_relaxed);
    refused += counters.not_allowed.load(std::memory_order_relaxed) +
               counters.limited.load(std::memory_order_relaxed) +
               counters.bad_proxy_header.load(std::memory_order_relaxed);
    failed += counters.connect_failed.load(std::memory_order_relaxed);
  }
  answer.done([&](telemetry::JsonLine& line) {
    line.text("run", setting_.events.run());
    line.text("program", setting_.program);
    line.text("kind", "forward");
    line.text("version", SLUICE_VERSION);
    line.number("pid", static_cast<std::uint64_t>(::getpid()));
    constexpr unsigned kMillis = 3;
    line.decimal("uptime_s", static_cast<std::uint64_t>(std::max<std::int64_t>(up, 0)), kMillis);
    line.text("state", status.state);
    line.number("workers", setting_.workers.size());
    line.number("flows", sessions);
    line.number("generation", status.generation);
    line.number("rules", status.rules.size());
    line.number("listeners", status.listeners);
    line.number("accepted", accepted);
    line.number("refused", refused);
    line.number("connect_failed", failed);
  });
}

bool ForwardControl::is_stuck(std::size_t worker) {
  if (owed_[worker] && !owed_[worker]()) return true;
  owed_[worker] = nullptr;
  return false;
}

template <typename Reply>
auto ForwardControl::answer_of(std::size_t worker, const std::shared_ptr<Reply>& reply,
                               Instant until) {
  auto answer = reply->await(std::max(until - steady_now(), Duration::zero()));
  if (!answer) owed_[worker] = [reply] { return reply->is_there(); };
  return answer;
}

void ForwardControl::tell_flows(const control::Request& request, control::Answer& answer) {
  const std::size_t most =
      request.max == 0 ? kFlowsEach : std::min<std::uint64_t>(request.max, kFlowsEach);
  const Instant until = steady_now() + kPatience;
  std::uint64_t worker = request.from >> kWorkerShift;
  std::uint64_t from = request.from & kPlaceMask;
  std::optional<std::uint64_t> next;
  std::vector<SessionRecord> sessions;
  for (; worker < setting_.workers.size() && !next; ++worker, from = 0) {
    if (sessions.size() == most) {
      next = worker << kWorkerShift;
      break;
    }
    std::optional<SessionPage> page;
    if (!is_stuck(worker)) {
      page = answer_of(worker, setting_.workers[worker]->list(from, most - sessions.size()), until);
    }
    if (!page) {
      answer.fail("busy", kBusy);
      return;
    }
    std::ranges::move(page->sessions, std::back_inserter(sessions));
    if (page->next) next = (worker << kWorkerShift) | *page->next;
  }
  for (const SessionRecord& session : sessions) {
    const SessionFlow flow(session, SessionFlow::As::kLive);
    answer.item([&](telemetry::JsonLine& line) { telemetry::add_flow(line, flow.record()); });
  }
  answer.done([&](telemetry::JsonLine& line) { tell_next(line, next); });
}

void ForwardControl::tell_rules(const control::Request& request, control::Answer& answer) {
  const Forwarder::Status status = forwarder_.status();
  const std::size_t count = status.rules.size();
  const std::size_t most =
      request.max == 0 ? kFlowsEach : std::min<std::uint64_t>(request.max, kFlowsEach);
  const std::size_t first = std::min<std::uint64_t>(request.from, count);
  const std::size_t last = first + std::min(most, count - first);
  for (std::size_t i = first; i < last; ++i) {
    answer.item([&](telemetry::JsonLine& line) { tell_rule(line, *status.rules[i]); });
  }
  answer.done([&](telemetry::JsonLine& line) {
    line.number("generation", status.generation);
    line.number("rules", count);
    tell_next(line, last == count ? std::nullopt : std::optional<std::uint64_t>(last));
  });
}

void ForwardControl::kill(const control::Request& request, control::Answer& answer) {
  const auto number = control::flow_number(request.what);
  if (!number) {
    answer.fail("bad-flow", "a flow's name has 16 hexadecimal digits");
    return;
  }
  const std::uint64_t worker = *number >> Worker::kNumberBits;
  if (worker >= setting_.workers.size()) {
    answer.fail("no-such-flow", kNoSuchFlow);
    return;
  }
  if (is_stuck(worker)) {
    answer.fail("busy", kBusy);
    return;
  }
  const auto killed =
      answer_of(worker, setting_.workers[worker]->kill(*number), steady_now() + kPatience);
  if (!killed) {
    answer.fail("busy", "a worker does not answer; it ends the flow when it does");
  } else if (*killed) {
    answer.done();
  } else {
    answer.fail("no-such-flow", kNoSuchFlow);
  }
}

void ForwardControl::reload(const control::Request& request, control::Answer& answer) {
  if (!request.what.empty()) {
    answer.fail("bad-request", "a forwarder reads its own file: 'draft' does not belong here");
    return;
  }
  const auto done = forwarder_.reload_by("ctl");
  if (!done) {
    answer.fail("bad-configuration", done.error());
    return;
  }
  answer.done([&](telemetry::JsonLine& line) {
    line.number("generation", done->generation);
    line.number("rules", done->rules);
    line.number("listeners_opened", done->opened);
    line.number("listeners_closed", done->closed);
    line.flag("in_force", done->in_force);
  });
}

}  // namespace sluice::forward
