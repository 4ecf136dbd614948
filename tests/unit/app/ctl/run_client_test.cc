#include "app/ctl/run_client.h"

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

TEST(RunClient, RequestsAreLinesOfJson) {
  EXPECT_EQ(request_line(control::Verb::kPending), "{\"do\":\"pending\"}\n");
  EXPECT_EQ(request_line(control::Verb::kApprove,
                         [](telemetry::JsonLine& line) { line.number("question", 3); }),
            "{\"do\":\"approve\",\"question\":3}\n");
}

TEST(RunClient, WhyARunRefusesIsShownAsATerminalMayHaveIt) {
  const Asked refused{"", {{"ok", false}, {"message", "no\x1b[2J"}}};
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(message_of(refused), "no?[2J");
}

TEST(RunClient, ARunThatIsNotThereIsSaidSo) { EXPECT_FALSE(connect_to_run("nosuch")); }

}  // namespace
}  // namespace sluice::app
