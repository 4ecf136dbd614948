// Requests that come by the control socket, and what becomes of a worker by them.
#include "serve/run_control.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "unit/driver/worker_rig.h"

namespace sluice::serve {
namespace {

using control::Verb;
using Json = nlohmann::json;

class RunControlTest : public testing::Test {
 protected:
  // All lines of the answer.
  std::vector<Json> ask(Verb verb, std::string what = "", std::uint64_t max = 0) {
    fmt::memory_buffer out;
    control::Answer answer(out, 5);
    control_.on_request({.verb = verb, .id = 5, .what = std::move(what), .max = max}, answer);
    std::vector<Json> lines;
    std::string_view text(out.data(), out.size());
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      lines.push_back(Json::parse(text.substr(0, end)));
      text.remove_prefix(end + 1);
    }
    EXPECT_TRUE(!lines.empty() && lines.back().contains("ok"));
    return lines;
  }
  std::string error(Verb verb, std::string what = "") {
    const auto lines = ask(verb, std::move(what));
    return lines.size() == 1 ? lines[0].value("error", "") : "";
  }
  void send_datagram(std::uint16_t port) {
    rig_.feed({flow::test::udp_frame(rig_.network, {rig_.network.guest_v4, wire::Port{port}},
                                     flow::test::endpoint("198.51.100.7:53"), {'x'})});
  }

  driver::WorkerRig rig_;
  driver::WorkerGroup workers_{*rig_.worker};
  telemetry::EventStream events_{"k3f9wa"};
  ServePlan plan_{};
  RunControl control_{workers_, events_, {"sluice run", plan_, plan_.network}};
};

TEST_F(RunControlTest, TheStatusHasWhatIsNotZero) {
  send_datagram(4000);
  const Json status = ask(Verb::kStatus).front();
  EXPECT_EQ(status["id"], 5);
  EXPECT_EQ(status["run"], "k3f9wa");
  EXPECT_EQ(status["program"], "sluice run");
  EXPECT_EQ(status["flows"], 1);
  EXPECT_EQ(status["generation"], 1);
  EXPECT_TRUE(status["drops"].empty());
}

TEST_F(RunControlTest, FlowsComeInPages) {
  for (std::uint16_t port = 0; port < 5; ++port) {
    send_datagram(static_cast<std::uint16_t>(4000 + port));
  }
  const auto first = ask(Verb::kFlows, "", 3);
  ASSERT_EQ(first.size(), 4u);
  EXPECT_EQ(first[0]["more"], true);
  EXPECT_EQ(first[0]["address"], "198.51.100.7");
  EXPECT_EQ(first[0]["bytes_to_host"], 1);
  EXPECT_EQ(first[0]["outcome"], "open");
  EXPECT_TRUE(first[3]["next"].is_string());
  const auto all = ask(Verb::kFlows);
  ASSERT_EQ(all.size(), 6u);
  EXPECT_TRUE(all[5]["next"].is_null());
}

TEST_F(RunControlTest, AFlowIsEndedByItsName) {
  send_datagram(4000);
  const std::string flow = ask(Verb::kFlows)[0]["flow"];
  EXPECT_EQ(error(Verb::kKill, "12"), "bad-flow");
  EXPECT_EQ(error(Verb::kKill, "000000000000000g"), "bad-flow");
  EXPECT_EQ(ask(Verb::kKill, flow)[0]["ok"], true);
  EXPECT_EQ(error(Verb::kKill, flow), "no-such-flow");
  EXPECT_EQ(ask(Verb::kStatus)[0]["flows"], 0);
}

TEST_F(RunControlTest, ARuleIsInForceWhenItIsAnswered) {
  send_datagram(4000);
  EXPECT_EQ(error(Verb::kDeny, "not an address"), "bad-rule");
  EXPECT_EQ(ask(Verb::kDeny, "198.51.100.0/24")[0]["generation"], 2);
  EXPECT_EQ(ask(Verb::kStatus)[0]["flows"], 0);
  send_datagram(4000);
  EXPECT_EQ(ask(Verb::kStatus)[0]["flows"], 0);
  EXPECT_EQ(ask(Verb::kAllow, "198.51.100.7/32:53")[0]["generation"], 3);
  send_datagram(4000);
  EXPECT_EQ(ask(Verb::kStatus)[0]["flows"], 1);
}

TEST_F(RunControlTest, APolicyIsReplacedAsAWholeAndWhatWasAddedStays) {
  telemetry::EventQueue queue(1 << 16);
  events_.subscribe(queue);
  send_datagram(4000);
  EXPECT_EQ(ask(Verb::kAllow, "192.0.2.1")[0]["generation"], 2);
  const std::string allows = R"({"default":"deny"})"
                             "\n"
                             R"({"effect":"allow","target":"198.51.100.0/24","id":"a:1"})"
                             "\n";
  EXPECT_EQ(error(Verb::kReload, R"({"default":"maybe"})"), "bad-policy");
  EXPECT_EQ(ask(Verb::kStatus)[0]["generation"], 2);
  const Json kept = ask(Verb::kReload, allows)[0];
  EXPECT_EQ(kept["generation"], 3);
  EXPECT_EQ(kept["rules"], 2);
  EXPECT_EQ(kept["flows_ended"], 0);
  const Json cut = ask(Verb::kReload, R"({"default":"deny"})")[0];
  EXPECT_EQ(cut["rules"], 1) << "the one that was added";
  EXPECT_EQ(cut["flows_ended"], 1);
  const Json status = ask(Verb::kStatus)[0];
  EXPECT_EQ(status["default"], "deny");
  EXPECT_TRUE(status["policy"]["files"].is_array());
  std::vector<std::string> by;
  std::string_view text = queue.pending();
  while (!text.empty()) {
    const Json event = Json::parse(text.substr(0, text.find('\n')));
    text.remove_prefix(text.find('\n') + 1);
    if (event["type"] == "policy") by.push_back(event["by"]);
  }
  EXPECT_EQ(by, (std::vector<std::string>{"ctl", "reload", "reload"}));
  events_.unsubscribe(queue);
}

TEST_F(RunControlTest, PortsArePublishedOnce) {
  EXPECT_EQ(error(Verb::kPublish, "eighty"), "bad-port");
  EXPECT_EQ(error(Verb::kPublish, "8000-8999:8000-8999"), "bad-port");
  EXPECT_EQ(error(Verb::kPublish, "192.0.2.77:48080:80"), "cannot-listen");
  EXPECT_EQ(error(Verb::kUnpublish, "8080:80"), "not-published");
  EXPECT_EQ(ask(Verb::kPublished).size(), 1u);
}

}  // namespace
}  // namespace sluice::serve
