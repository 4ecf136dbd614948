#include "serve/run_metrics.h"

#include <gtest/gtest.h>

#include <string>

#include "unit/driver/worker_rig.h"

namespace sluice::serve {
namespace {

TEST(RunMetrics, AFlowIsSeenWhileItLivesAndAfter) {
  driver::WorkerRig rig;
  driver::WorkerGroup workers{*rig.worker};
  telemetry::EventStream events{"k3f9wa"};
  const ServePlan plan{};
  RunControl control(workers, events, {"sluice run", plan, plan.network});
  RunMetricsSource source("sluice run", workers, events, control);
  const auto has = [&](const std::string& line) {
    fmt::memory_buffer out;
    source.append(out);
    return fmt::to_string(out).find("\n" + line + "\n") != std::string::npos;
  };

  rig.feed({flow::test::udp_frame(rig.network, {rig.network.guest_v4, wire::Port{4000}},
                                  flow::test::endpoint("198.51.100.7:53"), {'x'})});
  EXPECT_TRUE(has(R"(sluice_flows_open{proto="udp",path="tap"} 1)"));
  EXPECT_TRUE(has(R"(sluice_bytes_total{direction="to_host",path="tap"} 1)"));
  EXPECT_TRUE(has("sluice_policy_generation 1"));

  fmt::memory_buffer answers;
  control::Answer answer(answers, 1);
  control.on_request({.verb = control::Verb::kDeny, .what = "198.51.100.0/24"}, answer);
  EXPECT_TRUE(has(R"(sluice_flows_open{proto="udp",path="tap"} 0)"));
  EXPECT_TRUE(has(R"(sluice_flows_total{proto="udp",verdict="revoked",reason="revoked"} 1)"));
  EXPECT_TRUE(has(R"(sluice_bytes_total{direction="to_host",path="tap"} 1)"));
  EXPECT_TRUE(has("sluice_policy_generation 2"));
}

}  // namespace
}  // namespace sluice::serve
