#include "serve/ask/ask_desk.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "telemetry/events/question_line.h"
#include "telemetry/json_line.h"
#include "telemetry/log.h"
#include "telemetry/text.h"

namespace sluice::serve {
namespace {

using policy::AnswerBreadth;
using policy::AnswerScope;
using policy::Question;
using policy::Verdict;

// How often what the program has not taken is offered again.
constexpr Duration kOfferAgain = std::chrono::milliseconds(50);
constexpr std::size_t kByMax = 40;
constexpr std::size_t kAnswersEach = 32;

[[nodiscard]] policy::Protocol protocol_of(wire::IpProtocol protocol) {
  if (protocol == wire::IpProtocol::kTcp) return policy::Protocol::kTcp;
  if (protocol == wire::IpProtocol::kUdp) return policy::Protocol::kUdp;
  return policy::Protocol::kIcmp;
}

[[nodiscard]] wire::IpProtocol protocol_of(policy::Protocol protocol) {
  return protocol == policy::Protocol::kTcp ? wire::IpProtocol::kTcp : wire::IpProtocol::kUdp;
}

// Whether the policy asks about it no longer.
[[nodiscard]] bool is_settled(const Question& question, const policy::EgressPolicy& policy) {
  const policy::Subject& subject = question.subject;
  const wire::Endpoint target{subject.address, subject.port};
  if (!policy.asks()) return true;
  if (subject.name) {
    if (policy.decided(*subject.name, subject.protocol, subject.port)) return true;
    const auto ruled = policy.for_name(*subject.name, subject.protocol, subject.port);
    if (ruled) return ruled->effect != policy::Effect::kAsk;
  } else if (policy.decided(subject.protocol, target)) {
    return true;
  }
  const auto ruled = policy.for_address(subject.protocol, target);
  return ruled ? ruled->effect != policy::Effect::kAsk
               : policy.default_effect() != policy::Effect::kAsk;
}

}  // namespace

AskDesk::AskDesk(driver::WorkerGroup& workers, telemetry::EventStream& events, AskPlan plan,
                 AskExec program)
    : workers_(workers),
      events_(events),
      plan_(std::move(plan)),
      program_(std::move(program)),
      table_(plan_.settings),
      had_program_(program_.is_there()) {}

std::optional<Verdict> AskDesk::on_asked(const driver::AskedFlow& asked, Instant now) {
  const policy::Protocol protocol = protocol_of(asked.flow.protocol);
  policy::QuestionTable::Asking asking{.subject = {.name = asked.name,
                                                   .address = asked.key.remote.address,
                                                   .protocol = protocol,
                                                   .port = asked.key.remote.port},
                                       .waiter = std::nullopt,
                                       .domain = {},
                                       .rule = asked.rule,
                                       .note = asked.note,
                                       .attended = attached() > 0};
  if (protocol != policy::Protocol::kIcmp) {
    asking.waiter = policy::Waiter{asked.worker, protocol, asked.flow.handle.pack()};
  }
  if (asked.name && plan_.domain_of) asking.domain = plan_.domain_of(asked.name->to_text());
  const auto result = table_.ask(std::move(asking), now);
  if (result.verdict == Verdict::kAskNobody) ++counters_.nobody;
  if (result.verdict == Verdict::kAskQueueFull) ++counters_.queue_full;
  if (result.begun != nullptr) {
    tell(telemetry::AskEvent{*result.begun});
    tell_program(*result.begun);
  }
  return result.verdict;
}

void AskDesk::on_withdrawn(std::uint32_t worker, const flow::FlowId& flow) {
  table_.withdraw({worker, protocol_of(flow.protocol), flow.handle.pack()});
}

void AskDesk::on_answerer(bool came) {
  came ? ++answerers_ : --answerers_;
  if (attached() == 0) let_go(table_.lapse_all(), Verdict::kAskNobody, "nobody");
}

void AskDesk::on_policy(const policy::EgressPolicy& policy) {
  const auto settled = table_.remove_if([&](const Question& question) {
    return question.id != being_answered_ && is_settled(question, policy);
  });
  // Their flows were judged again, and are on their way.
  for (const Question& question : settled) {
    tell(telemetry::DecisionEvent{
        .question = question, .result = "policy", .flows = question.waiters.size()});
  }
}

Instant AskDesk::next_wakeup(Instant now) const {
  if (had_program_ && !program_.is_there()) return now;
  const Instant offer = program_.has_unsent() ? now + kOfferAgain : kNever;
  return std::min(table_.next_wakeup(), offer);
}

void AskDesk::turn(Instant now) {
  program_.flush();
  hear_program();
  if (std::exchange(had_program_, program_.is_there()) && !had_program_ && attached() == 0) {
    let_go(table_.lapse_all(), Verdict::kAskNobody, "nobody");
  }
  if (now >= table_.next_wakeup()) let_go(table_.lapse(now), Verdict::kAskTimedOut, "timeout");
}

// A bounded number at a time: the rest comes with the next turn.
void AskDesk::hear_program() {
  for (std::size_t i = 0; i < kAnswersEach; ++i) {
    auto request = program_.next();
    if (!request) return;
    request->by = "ask-exec";
    auto decision = read(*request);
    if (decision && decision->scope == AnswerScope::kAlways) {
      // It is not ours to write what later runs read.
      decision->scope = AnswerScope::kRun;
    }
    auto made = decision ? decide(request->question, *decision)
                         : std::unexpected(std::move(decision.error()));
    if (!made) telemetry::log_warn("--ask-exec: {}", made.error().message);
  }
}

std::expected<AskDesk::Decision, AskDesk::Refusal> AskDesk::read(
    const control::Request& request) const {
  const bool allow = request.verb == control::Verb::kApprove;
  Decision decision{.allow = allow,
                    .scope = allow ? plan_.settings.remember : AnswerScope::kOnce,
                    .breadth = AnswerBreadth::kNamePort,
                    .by = request.by.empty() ? "client" : request.by.substr(0, kByMax)};
  if (!request.scope.empty()) {
    const auto scope = policy::parse_scope(request.scope);
    if (!scope) {
      return std::unexpected(Refusal{"bad-answer", "no such scope; expected once, run or always"});
    }
    decision.scope = *scope;
  }
  if (!request.of.empty()) {
    const auto breadth = policy::parse_breadth(request.of);
    if (!breadth) {
      return std::unexpected(
          Refusal{"bad-answer", "an answer is not of that; expected name:port, name or domain"});
    }
    decision.breadth = *breadth;
  }
  if (decision.scope == AnswerScope::kOnce && decision.breadth != AnswerBreadth::kNamePort) {
    return std::unexpected(
        Refusal{"bad-answer", "'once' is for what was asked; expected run or always"});
  }
  return decision;
}

std::expected<AskDesk::Made, AskDesk::Refusal> AskDesk::decide(std::uint64_t id,
                                                               const Decision& decision) {
  const Question* const found = table_.find(id);
  if (found == nullptr) {
    return std::unexpected(Refusal{"no-such-question", "there is no such question any more"});
  }
  Made made{
      .scope = decision.scope, .late = found->waiters.empty(), .flows = found->waiters.size()};
  const Verdict verdict = decision.allow ? Verdict::kAccepted : Verdict::kAskRefused;
  if (decision.scope != AnswerScope::kOnce) {
    if (auto rule = make_rule(*found, decision, made); !rule) {
      return std::unexpected(std::move(rule.error()));
    }
  }
  const auto question = table_.take(id);
  if (!question) return std::unexpected(Refusal{"no-such-question", "it was answered already"});
  if (decision.scope == AnswerScope::kOnce && made.late) {
    table_.leave_answer(question->subject, verdict, workers_.now());
  }
  // A rule has let most of them go on already.
  rule_all(*question, verdict);
  ++(decision.allow ? counters_.approved : counters_.refused);
  tell(telemetry::DecisionEvent{.question = *question,
                                .result = decision.allow ? "approved" : "refused",
                                .scope = to_string(decision.scope),
                                .breadth = to_string(decision.breadth),
                                .rule = made.rule,
                                .by = decision.by,
                                .late = made.late,
                                .flows = made.flows});
  return made;
}

std::expected<void, AskDesk::Refusal> AskDesk::make_rule(const Question& question,
                                                         const Decision& decision, Made& made) {
  auto target = policy::target_of(question, decision.breadth);
  if (!target) {
    return std::unexpected(
        Refusal{"bad-answer", decision.breadth == AnswerBreadth::kDomain
                                  ? "there is no registrable domain; expected name:port or name"
                                  : "no rule can be written for this name; expected once"});
  }
  if (rules_ >= kRulesMax) {
    return std::unexpected(
        Refusal{"too-many-answers", "too many answers are rules; expected once"});
  }
  const auto effect = decision.allow ? policy::Effect::kAllow : policy::Effect::kDeny;
  made.rule = fmt::format("{} {}", policy::to_string(effect), policy::to_string(*target));
  being_answered_ = question.id;
  const auto generation = add_rule_({std::move(*target),
                                     {.id = fmt::format("answer #{}", rules_ + 1),
                                      .effect = effect,
                                      .source = "answer",
                                      .decision = true}});
  being_answered_ = 0;
  if (!generation) return std::unexpected(Refusal{"bad-answer", generation.error()});
  ++rules_;
  made.generation = *generation;
  return {};
}

void AskDesk::rule_all(const Question& question, Verdict verdict) {
  for (const policy::Waiter& waiter : question.waiters) {
    workers_.rule(waiter.worker,
                  {.flow = {protocol_of(waiter.protocol), SlabHandle::unpack(waiter.flow)},
                   .key = {},
                   .by = {},
                   .verdict = verdict});
  }
}

void AskDesk::let_go(const std::vector<Question>& questions, Verdict verdict,
                     std::string_view result) {
  for (const Question& question : questions) {
    ++(verdict == Verdict::kAskTimedOut ? counters_.timeout : counters_.nobody);
    rule_all(question, verdict);
    tell(telemetry::DecisionEvent{
        .question = question, .result = result, .flows = question.waiters.size()});
  }
}

void AskDesk::tell(const telemetry::Event& event) {
  if (events_.wanted()) events_.add(std::chrono::system_clock::now(), event);
}

void AskDesk::tell_program(const Question& question) {
  if (!program_.is_there()) return;
  fmt::memory_buffer buffer;
  telemetry::JsonLine line(buffer);
  line.number("v", control::kVersion);
  line.text("type", "ask");
  line.text("run", events_.run());
  line.text("command", plan_.command);
  add_row(line, question);
  line.end_line();
  program_.tell({buffer.data(), buffer.size()});
}

void AskDesk::add_row(telemetry::JsonLine& line, const Question& question) const {
  using std::chrono::duration_cast;
  const Instant now = workers_.now();
  telemetry::add_question(line, question);
  line.text("state", question.waits() ? "waiting" : "unanswered");
  line.filled("first", [&](fmt::memory_buffer& to) {
    telemetry::append_time(
        to, std::chrono::system_clock::now() -
                duration_cast<std::chrono::system_clock::duration>(now - question.first));
  });
  if (question.waits()) {
    const auto left = duration_cast<std::chrono::milliseconds>(question.until - now).count();
    constexpr unsigned kMillis = 3;
    line.decimal("left_s", static_cast<std::uint64_t>(std::max<std::int64_t>(left, 0)), kMillis);
  } else {
    line.null("left_s");
  }
  line.text("remember", to_string(plan_.settings.remember));
}

void AskDesk::tell_pending(control::Answer& answer) const {
  for (const Question* question : table_.by_domain()) {
    answer.item([&](telemetry::JsonLine& line) { add_row(line, *question); });
  }
  answer.done([&](telemetry::JsonLine& line) {
    line.number("attached", attached());
    line.number("waiting", table_.waiting());
    const auto timeout =
        std::chrono::duration_cast<std::chrono::seconds>(plan_.settings.timeout).count();
    line.number("timeout_s", static_cast<std::uint64_t>(timeout));
  });
}

void AskDesk::answer(const control::Request& request, std::string_view program,
                     control::Answer& answer) {
  const auto decision = read(request);
  if (!decision) {
    answer.fail(decision.error().error, decision.error().message);
    return;
  }
  const auto made = decide(request.question, *decision);
  if (!made) {
    answer.fail(made.error().error, made.error().message);
    return;
  }
  answer.done([&](telemetry::JsonLine& line) {
    if (made->rule.empty()) {
      line.null("rule");
    } else {
      line.text("rule", made->rule);
    }
    line.text("scope", to_string(made->scope));
    line.flag("late", made->late);
    line.number("flows", made->flows);
    if (made->generation) line.number("generation", *made->generation);
    line.text("program", program);
    line.text("command", plan_.command);
  });
}

void AskDesk::add_status(telemetry::JsonLine& line) const {
  line.open_object("ask");
  line.number("pending", table_.waiting());
  line.number("unanswered", table_.unanswered());
  line.number("attached", attached());
  line.number("approved", counters_.approved);
  line.number("refused", counters_.refused);
  line.number("timeout", counters_.timeout);
  line.number("nobody", counters_.nobody);
  line.number("queue_full", counters_.queue_full);
  line.close();
}

}  // namespace sluice::serve
