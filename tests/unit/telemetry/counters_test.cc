#include "telemetry/counters.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::telemetry {
namespace {

TEST(Limits, OnlyThoseThatKeptSomethingBackAreTold) {
  EXPECT_EQ(limits_text({}), "");
  EXPECT_EQ(limits_text({{.rule = "quiet", .to_host = 5, .to_host_max = 9}}), "");
  EXPECT_EQ(limits_text({{.rule = "uploads",
                          .to_host = 50,
                          .to_host_max = 50,
                          .flows = 2,
                          .flows_max = 8,
                          .refused = 3,
                          .ended = 1},
                         {.from_host = 7, .from_host_max = 7, .ended = 2}}),
            "limit reached: of rule 'uploads' (50 of 50 bytes to hosts, 2 of 8 flows now): 1 flow "
            "ended, 3 refused; of the run (7 of 7 bytes from hosts): 2 flows ended, 0 refused");
}

TEST(Limits, ManyAreCut) {
  const std::vector<LimitUse> many(7, {.rule = "r", .flows_max = 1, .refused = 1});
  EXPECT_TRUE(limits_text(many).ends_with("; … 2 more"));
}

TEST(Limits, AreAnObjectForPrograms) {
  fmt::memory_buffer out;
  {
    JsonLine line(out);
    add_limit(line, {.to_host = 5, .to_host_max = 9, .ended = 1});
    line.end_line();
  }
  EXPECT_EQ(fmt::to_string(out),
            "{\"rule\":null,\"to_host\":5,\"to_host_max\":9,\"from_host\":0,\"from_host_max\":0,"
            "\"flows\":0,\"flows_max\":0,\"refused\":0,\"ended\":1}\n");
}

}  // namespace
}  // namespace sluice::telemetry
