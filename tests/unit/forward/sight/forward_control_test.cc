// Answers about workers that do not run: what they have to say never comes.
#include "forward/sight/forward_control.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace sluice::forward {
namespace {

using control::Verb;
using Json = nlohmann::json;

class Fake final : public Forwarder {
 public:
  Status status() const override {
    return {.state = "serving", .rules = rules, .listeners = 2, .generation = 4};
  }
  std::expected<ReloadDone, std::string> reload_by(std::string_view who) override {
    asked_by = who;
    if (!error.empty()) return std::unexpected(error);
    return ReloadDone{.rules = 1, .opened = 1, .closed = 0, .generation = 5, .in_force = true};
  }

  std::vector<std::shared_ptr<LiveRule>> rules;
  std::string error;
  std::string asked_by;
};

Rule rule_named(const std::string& name) {
  Rule rule;
  rule.name = name;
  rule.listen = {.host = "127.0.0.1", .port = 80};
  rule.targets = {{.place = {.host = "10.0.0.2", .port = 8080}},
                  {.place = {.host = "10.0.0.3", .port = 8080}}};
  return rule;
}

class ForwardControlTest : public ::testing::Test {
 protected:
  ForwardControlTest() {
    for (const char* const name : {"a", "b", "c"}) {
      fake_.rules.push_back(std::make_shared<LiveRule>(rule_named(name), policy::AccessList{},
                                                       std::make_shared<RuleCounters>()));
    }
    fake_.rules[1]->counters->accepted = 7;
    fake_.rules[1]->targets.set_up(0, false);
  }
  std::vector<Json> ask(const control::Request& request) {
    fmt::memory_buffer out;
    control::Answer answer(out, 0);
    control_.on_request(request, answer);
    std::istringstream text(fmt::to_string(out));
    std::vector<Json> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(Json::parse(line));
    return lines;
  }
  std::string error(Verb verb, const std::string& what = "") {
    return ask({.verb = verb, .what = what}).back().value("error", "");
  }

  Fake fake_;
  std::unique_ptr<Worker> worker_ = std::move(*Worker::create(sys::real_kernel(), {}));
  std::vector<Worker*> workers_{worker_.get()};
  telemetry::EventStream events_{"k3f9wa"};
  ForwardControl control_{fake_, {workers_, events_, "a test", Instant{}}};
};

TEST_F(ForwardControlTest, TellsHowItStands) {
  const Json status = ask({.verb = Verb::kStatus}).back();
  EXPECT_EQ(status["kind"], "forward");
  EXPECT_EQ(status["state"], "serving");
  EXPECT_EQ(status["rules"], 3);
  EXPECT_EQ(status["accepted"], 7);
  EXPECT_EQ(status["generation"], 4);
}

TEST_F(ForwardControlTest, TellsRulesInPages) {
  const auto first = ask({.verb = Verb::kRules, .max = 2});
  ASSERT_EQ(first.size(), 3U);
  EXPECT_EQ(first[1]["rule"], "b");
  EXPECT_EQ(first[1]["hits"], 7);
  EXPECT_EQ(first[1]["targets_up"], 1);
  EXPECT_EQ(first[1]["target"], "tcp://127.0.0.1:80 > tcp://10.0.0.2:8080,tcp://10.0.0.3:8080");
  EXPECT_EQ(first[2]["next"], "2");
  const auto last = ask({.verb = Verb::kRules, .from = 2});
  ASSERT_EQ(last.size(), 2U);
  EXPECT_TRUE(last[1]["next"].is_null());
  EXPECT_EQ(ask({.verb = Verb::kRules, .from = ~std::uint64_t{0}}).size(), 1U);
}

TEST_F(ForwardControlTest, AWorkerThatDoesNotAnswerIsAskedOnce) {
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(error(Verb::kFlows), "busy");
  const auto after = std::chrono::steady_clock::now();
  EXPECT_GE(after - begun, ForwardControl::kPatience);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(error(Verb::kFlows), "busy");
  EXPECT_EQ(error(Verb::kKill, "0000000000000001"), "busy");
  EXPECT_LT(std::chrono::steady_clock::now() - after, 20 * ForwardControl::kPatience);
}

TEST_F(ForwardControlTest, FlowsOfNoWorkerAreNone) {
  EXPECT_EQ(error(Verb::kKill, "ffff000000000001"), "no-such-flow");
  EXPECT_EQ(error(Verb::kKill, "xyz"), "bad-flow");
  const auto beyond = ask({.verb = Verb::kFlows, .from = ~std::uint64_t{0}});
  ASSERT_EQ(beyond.size(), 1U);
  EXPECT_TRUE(beyond[0]["next"].is_null());
}

TEST_F(ForwardControlTest, ReloadsAndTellsWhatIsWrong) {
  EXPECT_EQ(ask({.verb = Verb::kReload}).back()["generation"], 5);
  EXPECT_EQ(fake_.asked_by, "ctl");
  fake_.error = "rules.toml:3: no";
  const Json failed = ask({.verb = Verb::kReload}).back();
  EXPECT_EQ(failed["error"], "bad-configuration");
  EXPECT_EQ(failed["message"], "rules.toml:3: no");
  fake_.asked_by.clear();
  EXPECT_EQ(error(Verb::kReload, "{}"), "bad-request");
  EXPECT_EQ(fake_.asked_by, "");
}

TEST_F(ForwardControlTest, WhatAForwarderHasNotIsRefused) {
  EXPECT_EQ(error(Verb::kAllow, "example.org"), "no-policy");
  EXPECT_EQ(error(Verb::kPublish, "80"), "no-guest");
  EXPECT_EQ(error(Verb::kPending), "no-questions");
}

TEST_F(ForwardControlTest, WorkersTellWhileSomebodyListens) {
  control_.on_listeners(true);
  EXPECT_TRUE(worker_->outbox().wanted());
  control_.on_listeners(false);
  EXPECT_FALSE(worker_->outbox().wanted());
}

}  // namespace
}  // namespace sluice::forward
