// Questions of a worker's flows at the desk, and answers by the control socket.
#include "serve/ask/ask_desk.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "serve/run_control.h"
#include "unit/driver/worker_rig.h"

namespace sluice::serve {
namespace {

using control::Verb;
using policy::Verdict;
using Json = nlohmann::json;
using namespace std::chrono_literals;

class AskDeskTest : public driver::WorkerRig, public testing::Test {
 protected:
  AskDeskTest() : WorkerRig(Begin::kNo) {
    plan_.policy.fallback = policy::Effect::kAsk;
    policy_ =
        std::make_unique<policy::EgressPolicy>(policy::EgressPolicy::compile(plan_.policy).value());
    driver::WorkerOptions options;
    options.engine.egress = policy_.get();
    options.ask.answer_within = 70s;
    start(std::move(options));
    workers_.emplace(*worker);
    desk_.emplace(*workers_, events_, AskPlan{.command = "make"}, AskExec());
    control_.emplace(*workers_, events_, RunControl::Setting{"sluice run", plan_, plan_.network});
    control_->ask_by(*desk_);
    workers_->set_asker(&*desk_);
    events_.subscribe(queue_);
  }
  void send(std::uint16_t port = 7000, std::uint16_t from = 4000) {
    feed({flow::test::udp_frame(network, {network.guest_v4, wire::Port{from}},
                                {flow::test::ip("198.51.100.7"), {port}}, {'x'})});
  }
  std::vector<Json> request(control::Request request) {
    fmt::memory_buffer out;
    control::Answer answer(out, 5);
    control_->on_request(request, answer);
    std::vector<Json> lines;
    std::string_view text(out.data(), out.size());
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      lines.push_back(Json::parse(text.substr(0, end)));
      text.remove_prefix(end + 1);
    }
    return lines;
  }
  Json answer(Verb verb, std::uint64_t question, std::string scope = "", std::string of = "") {
    return request({.verb = verb,
                    .question = question,
                    .scope = std::move(scope),
                    .of = std::move(of),
                    .by = "test"})
        .back();
  }
  Json status() { return request({.verb = Verb::kStatus}).back()["ask"]; }
  // What was told, of this type.
  std::vector<Json> told(std::string_view type) {
    std::vector<Json> found;
    std::string_view text = queue_.pending();
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      Json event = Json::parse(text.substr(0, end));
      if (event["type"] == type) found.push_back(std::move(event));
      text.remove_prefix(end + 1);
    }
    return found;
  }

  ServePlan plan_{};
  std::unique_ptr<policy::EgressPolicy> policy_;
  telemetry::EventStream events_{"k3f9wa"};
  telemetry::EventQueue queue_{1 << 20};
  std::optional<driver::WorkerGroup> workers_;
  std::optional<AskDesk> desk_;
  std::optional<RunControl> control_;
};

TEST_F(AskDeskTest, WithNobodyThereFlowsAreRefusedAtOnceAndTheQuestionStays) {
  send();
  EXPECT_EQ(drops(flow::DropReason::kAskNobody), 1u);
  const auto pending = request({.verb = Verb::kPending});
  ASSERT_EQ(pending.size(), 2u);
  EXPECT_EQ(pending[0]["state"], "unanswered");
  EXPECT_TRUE(pending[0]["left_s"].is_null());
  EXPECT_EQ(pending[1]["attached"], 0);
  EXPECT_EQ(status()["nobody"], 1);
}

TEST_F(AskDeskTest, AnApprovalLetsWaitingFlowsGoAndIsARuleForTheRun) {
  desk_->on_answerer(true);
  send();
  send(7000, 4001);
  const auto pending = request({.verb = Verb::kPending});
  ASSERT_EQ(pending.size(), 2u);
  EXPECT_EQ(pending[0]["waiting"], 2);
  EXPECT_EQ(pending[0]["rules"]["name:port"], "198.51.100.7:7000/udp");
  EXPECT_EQ(told("ask").size(), 1u);
  const Json done = answer(Verb::kApprove, pending[0]["question"]);
  EXPECT_EQ(done["rule"], "allow 198.51.100.7:7000/udp");
  EXPECT_EQ(done["scope"], "run");
  EXPECT_EQ(done["flows"], 2);
  EXPECT_EQ(done["late"], false);
  EXPECT_EQ(done["generation"], 2);
  EXPECT_EQ(done["command"], "make");
  EXPECT_EQ(request({.verb = Verb::kPending}).size(), 1u);
  send(7000, 4002);  // Nothing is asked any more.
  EXPECT_EQ(told("ask").size(), 1u);
  const auto decisions = told("decision");
  ASSERT_EQ(decisions.size(), 1u);
  EXPECT_EQ(decisions[0]["result"], "approved");
  EXPECT_EQ(decisions[0]["by"], "test");
  EXPECT_EQ(workers_->snapshot().flows, 3u);
}

TEST_F(AskDeskTest, ARefusalIsForWhatWaitsAndForTheRunIfItSaysSo) {
  desk_->on_answerer(true);
  send();
  EXPECT_TRUE(answer(Verb::kRefuse, 1)["rule"].is_null());
  EXPECT_EQ(drops(flow::DropReason::kAskRefused), 1u);
  send(7000, 4001);
  EXPECT_EQ(answer(Verb::kRefuse, 2, "run")["rule"], "deny 198.51.100.7:7000/udp");
  send(7000, 4002);
  EXPECT_EQ(drops(flow::DropReason::kAskRefused), 3u);
  EXPECT_EQ(status()["refused"], 2);
}

TEST_F(AskDeskTest, SilenceIsARefusalOfItsOwnAndTheLateAnswerIsForTheNextTry) {
  desk_->on_answerer(true);
  send();
  pass(61s);
  EXPECT_LE(desk_->next_wakeup(workers_->now()), workers_->now());
  desk_->turn(workers_->now());
  EXPECT_EQ(drops(flow::DropReason::kAskTimedOut), 1u);
  EXPECT_EQ(status()["timeout"], 1);
  EXPECT_EQ(told("decision").at(0)["result"], "timeout");
  const Json late = answer(Verb::kApprove, 1, "once");
  EXPECT_EQ(late["late"], true);
  send(7000, 4001);
  EXPECT_EQ(workers_->snapshot().flows, 1u);
  send(7000, 4002);  // This one is asked about again.
  EXPECT_EQ(status()["pending"], 1);
}

TEST_F(AskDeskTest, WhenTheLastOneLeavesWhoWaitsIsTold) {
  desk_->on_answerer(true);
  desk_->on_answerer(true);
  send();
  desk_->on_answerer(false);
  EXPECT_EQ(drops(flow::DropReason::kAskNobody), 0u);
  desk_->on_answerer(false);
  EXPECT_EQ(drops(flow::DropReason::kAskNobody), 1u);
  EXPECT_EQ(told("decision").at(0)["result"], "nobody");
}

TEST_F(AskDeskTest, ARuleThatDecidesEndsTheQuestion) {
  desk_->on_answerer(true);
  send();
  EXPECT_TRUE(request({.verb = Verb::kAllow, .what = "198.51.100.7:7000"}).back()["ok"]);
  EXPECT_EQ(told("decision").at(0)["result"], "policy");
  EXPECT_EQ(request({.verb = Verb::kPending}).size(), 1u);
  EXPECT_EQ(workers_->snapshot().flows, 1u);
}

TEST_F(AskDeskTest, WhatIsNoAnswerChangesNothing) {
  desk_->on_answerer(true);
  send();
  EXPECT_EQ(answer(Verb::kApprove, 7)["error"], "no-such-question");
  EXPECT_EQ(answer(Verb::kApprove, 1, "ever")["error"], "bad-answer");
  EXPECT_EQ(answer(Verb::kApprove, 1, "run", "all")["error"], "bad-answer");
  EXPECT_EQ(answer(Verb::kApprove, 1, "run", "domain")["error"], "bad-answer");
  EXPECT_EQ(answer(Verb::kApprove, 1, "once", "name")["error"], "bad-answer");
  EXPECT_EQ(status()["pending"], 1);
}

}  // namespace
}  // namespace sluice::serve
