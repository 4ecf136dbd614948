// Flows that people are asked about, from the engine to whoever asks them, and back.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "unit/driver/worker_rig.h"

namespace sluice::driver {
namespace {

using policy::Verdict;

class RecordingAsker final : public Asker {
 public:
  std::optional<Verdict> on_asked(const AskedFlow& flow, Instant /*now*/) override {
    asked.push_back(flow);
    return at_once;
  }
  void on_withdrawn(std::uint32_t worker, const flow::FlowId& flow) override {
    withdrawn.emplace_back(worker, flow);
  }

  std::optional<Verdict> at_once;
  std::vector<AskedFlow> asked;
  std::vector<std::pair<std::uint32_t, flow::FlowId>> withdrawn;
};

class WorkerAsk : public WorkerRig, public testing::Test {
 protected:
  WorkerAsk() : WorkerRig(Begin::kNo), policy_(asking()) {
    WorkerOptions options;
    options.engine.egress = &policy_;
    start(std::move(options));
  }
  static policy::EgressPolicy asking() {
    policy::EgressDraft draft{.fallback = policy::Effect::kAsk};
    return policy::EgressPolicy::compile(std::move(draft)).value();
  }
  void send(std::uint16_t port = 7000) {
    feed({flow::test::udp_frame(network, {network.guest_v4, wire::Port{4000}},
                                {flow::test::ip("198.51.100.7"), {port}}, {'x'})});
  }

  policy::EgressPolicy policy_;
  RecordingAsker asker_;
};

TEST_F(WorkerAsk, WithoutAnybodyFlowsAreRefusedAtOnce) {
  send();
  EXPECT_EQ(drops(flow::DropReason::kAskNobody), 1u);
}

TEST_F(WorkerAsk, AFlowWaitsForItsAnswer) {
  worker->set_asker(&asker_);
  send();
  ASSERT_EQ(asker_.asked.size(), 1u);
  const AskedFlow asked = asker_.asked[0];
  EXPECT_EQ(asked.worker, 0u);
  EXPECT_EQ(asked.rule, "default");
  EXPECT_EQ(asked.key.remote.port.value, 7000);
  EXPECT_FALSE(asked.name);
  EXPECT_EQ(drops(flow::DropReason::kAskRefused), 0u);
  worker->rule(0, {asked.flow, asked.key, asked.by, Verdict::kAskRefused});
  EXPECT_EQ(drops(flow::DropReason::kAskRefused), 1u);
  EXPECT_TRUE(asker_.withdrawn.empty());
}

TEST_F(WorkerAsk, AnAnswerAtOnceIsCarriedOut) {
  asker_.at_once = Verdict::kAskQueueFull;
  worker->set_asker(&asker_);
  send();
  EXPECT_EQ(drops(flow::DropReason::kAskQueueFull), 1u);
}

TEST_F(WorkerAsk, AFlowThatEndsIsAskedAboutNoMore) {
  worker->set_asker(&asker_);
  send();
  ASSERT_EQ(asker_.asked.size(), 1u);
  pass(std::chrono::minutes(2));
  turn();
  ASSERT_EQ(asker_.withdrawn.size(), 1u);
  EXPECT_EQ(asker_.withdrawn[0].second, asker_.asked[0].flow);
  // The answer comes too late, and finds nothing.
  worker->rule(0, {asker_.asked[0].flow, asker_.asked[0].key, {}, Verdict::kAccepted});
  EXPECT_EQ(drops(flow::DropReason::kAskTimedOut), 1u);
}

TEST_F(WorkerAsk, AnEchoRequestIsAskedAboutAndToldARefusal) {
  asker_.at_once = Verdict::kAskNobody;
  worker->set_asker(&asker_);
  feed({flow::test::ping_frame(network, flow::test::ip("198.51.100.7"), 7, 1, {})});
  ASSERT_EQ(asker_.asked.size(), 1u);
  EXPECT_EQ(drops(flow::DropReason::kAskNobody), 1u);
  EXPECT_FALSE(link->written.empty());
}

}  // namespace
}  // namespace sluice::driver
