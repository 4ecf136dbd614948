// Flows that people are asked about: each worker's go to the first, which has whoever asks them,
// and the answers come back.
#include <utility>

#include "driver/worker.h"

namespace sluice::driver {

// The policy has nobody but people to ask about new flows, and what is to be seen of first bytes is
// seen by the engine itself.
[[gnu::cold]] void Worker::ask(const flow::AskPolicy& action, Instant now) {
  const std::uint32_t self = member_ ? member_->index() : 0;
  AskedFlow asked{.worker = self,
                  .flow = action.flow,
                  .key = action.key,
                  .by = action.by,
                  .name = engine_.name_of(action.by),
                  .rule = engine_.rule_of(action.by).id,
                  .note = engine_.rule_of(action.by).note};
  if (action.stage != flow::AskStage::kNewFlow) {
    carry_out({action.flow, action.key, action.by, policy::Verdict::kAskNobody}, now, action.stage);
  } else if (!member_ || member_->is_first()) {
    ask_people(asked, now);
  } else if (!member_->ask(std::move(asked))) {
    carry_out({action.flow, action.key, action.by, policy::Verdict::kAskQueueFull}, now);
  }
}

void Worker::ask_people(const AskedFlow& asked, Instant now) {
  const auto verdict =
      asker_ == nullptr ? policy::Verdict::kAskNobody : asker_->on_asked(asked, now);
  if (verdict) rule_at(asked.worker, {asked.flow, asked.key, asked.by, *verdict}, now);
}

[[gnu::cold]] void Worker::withdraw(const flow::FlowId& flow) {
  if (member_ && !member_->is_first()) {
    member_->withdraw(flow);
  } else if (asker_ != nullptr) {
    asker_->on_withdrawn(0, flow);
  }
}

void Worker::rule(std::uint32_t worker, const FlowRuled& ruled) {
  const Instant now = loop_.now();
  rule_at(worker, ruled, now);
  settle(now);
}

void Worker::rule_at(std::uint32_t worker, const FlowRuled& ruled, Instant now) {
  const std::uint32_t self = member_ ? member_->index() : 0;
  if (worker == self) {
    carry_out(ruled, now);
  } else if (member_) {
    member_->rule(worker, ruled);
  }
}

void Worker::carry_out(const FlowRuled& ruled, Instant now, flow::AskStage stage) {
  const wire::IpProtocol protocol = ruled.flow.protocol;
  if (protocol == wire::IpProtocol::kTcp || protocol == wire::IpProtocol::kUdp) {
    engine_.on_verdict(ruled.flow, {.stage = stage, .verdict = ruled.verdict}, {now, sink_});
  } else {
    engine_.on_echo_verdict(ruled.key, ruled.by, ruled.verdict, {now, sink_});
  }
}

}  // namespace sluice::driver
