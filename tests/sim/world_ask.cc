// Flows that are asked about: whoever decides answers at once, late, or never, lets through or
// refuses, and may want to see more of the guest's first bytes before it does.
#include <algorithm>

#include "check.h"
#include "pattern.h"
#include "world.h"

namespace sluice::sim {

void World::begin_asking() {
  const AskPlan& plan = scenario_.ask;
  const flow::Gate gate = plan.gate > 0 ? flow::Gate::kFirstBytes : flow::Gate::kOpen;
  engine_.set_ask({.tcp = plan.new_flows, .udp = plan.datagrams, .gate = gate});
}

void World::on_ask(const flow::AskPolicy& question) {
  const bool datagrams = question.flow.protocol == wire::IpProtocol::kUdp;
  const std::uint32_t connection =
      datagrams ? asked_of_datagrams(question.flow) : connection_of(question.key.guest);
  Asked& asked = asked_[connection];
  const bool first_bytes = question.stage == flow::AskStage::kFirstBytes;
  if (!asked.open || asked.flow != question.flow || asked.ruling.stage != question.stage) {
    draw_ruling(asked, question);
    ++totals_.asked;
  } else {
    check(first_bytes, "a new flow is asked about once");
  }
  if (first_bytes) {
    check(Pattern::matches(GuestTcp::salt_out(connection), 0, question.bytes),
          "the first bytes are the guest's");
    check(question.bytes.size() <= flow::KeptBytes::kMax + flow::KeptBytes::kRounding,
          "what is kept is bounded");
    check(host_.state_of(flow::TcpId{question.flow.handle}).taken == 0,
          "the host has nothing of what is judged");
    const bool enough = question.bytes.size() >= asked.bytes_wanted || question.finished;
    if (!enough && question.bytes.size() < flow::KeptBytes::kMax) return;
  }
  if (asked.never || asked.answer_planned) return;
  asked.answer_planned = true;
  if (asked.delay == Duration::zero()) {
    answer(connection, asked.number);
  } else {
    schedule(now_ + asked.delay, EventKind::kVerdict, connection, {.generation = asked.number});
  }
}

// Questions about datagrams have their places behind those of the connections.
std::uint32_t World::asked_of_datagrams(const flow::FlowId& flow) {
  for (std::size_t i = scenario_.connections.size(); i < asked_.size(); ++i) {
    if (asked_[i].flow == flow) return static_cast<std::uint32_t>(i);
  }
  asked_.emplace_back();
  return static_cast<std::uint32_t>(asked_.size() - 1);
}

void World::draw_ruling(Asked& asked, const flow::AskPolicy& question) {
  const AskPlan& plan = scenario_.ask;
  asked.open = true;
  asked.ever = true;
  asked.answer_planned = false;
  asked.flow = question.flow;
  if (question.stage == flow::AskStage::kNewFlow && asked.number > 0) asked.again = true;
  ++asked.number;
  asked.ruling = {.stage = question.stage};
  asked.never = ask_prng_.below(100) < plan.never;
  if (ask_prng_.below(100) < plan.refused) {
    asked.ruling.verdict = question.stage == flow::AskStage::kNewFlow
                               ? policy::Verdict::kAskRefused
                               : policy::Verdict::kFirstBytesRefused;
  } else if (ask_prng_.below(100) < plan.gate) {
    asked.ruling.gate = flow::Gate::kFirstBytes;
  }
  asked.delay = ask_prng_.below(3) == 0
                    ? Duration::zero()
                    : Duration(std::chrono::microseconds(ask_prng_.below(static_cast<std::uint64_t>(
                          plan.answers_within / std::chrono::microseconds(1)))));
  asked.bytes_wanted = ask_prng_.below(plan.bytes_wanted + 1);
  if (asked.never || asked.ruling.verdict != policy::Verdict::kAccepted) asked.refused = true;
}

// Also when the question was withdrawn meanwhile: then the answer says nothing.
void World::answer(std::uint32_t connection, std::uint32_t number) {
  Asked& asked = asked_[connection];
  if (asked.number != number) return;
  const bool open = asked.open;
  asked.open = false;
  const std::size_t flows = engine_.flow_count();
  engine_.on_verdict(asked.flow, asked.ruling, {now_, sink_});
  check(open || engine_.flow_count() == flows, "a late answer changes nothing");
}

void World::on_withdraw(const flow::WithdrawAsk& action) {
  // Its flow may have ended in the very burst that asked: then our answer was for nobody.
  const auto at = std::ranges::find(asked_, action.flow, &Asked::flow);
  check(at != asked_.end(), "what is withdrawn was asked");
  at->open = false;
  at->refused = true;  // Its flow has ended.
}

// A flow that ends with its question open was let through by nobody.
void World::note_unanswered(flow::TcpId id) {
  for (Asked& asked : asked_) {
    const bool same = asked.flow == flow::FlowId{wire::IpProtocol::kTcp, id};
    if (asked.open && same) asked.refused = true;
  }
}

bool World::datagrams_are_refused() const {
  return std::any_of(asked_.begin() + static_cast<std::ptrdiff_t>(scenario_.connections.size()),
                     asked_.end(), [](const Asked& asked) { return asked.refused; });
}

void World::check_asked() {
  for (std::uint32_t i = 0; i < asked_.size(); ++i) {
    const Asked& asked = asked_[i];
    check(!asked.open, "no question is left open");
    if (i >= scenario_.connections.size() || !asked.refused || asked.again || host_.flows_of(i) > 1)
      continue;
    check(host_.result(i).received == 0, "the host gets nothing of what is refused");
  }
}

}  // namespace sluice::sim
