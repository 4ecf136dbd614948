#include "forward/supervisor/counters_text.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/forward/sockets.h"

namespace sluice::forward {
namespace {

TEST(CountersTable, AlignsAndTellsOfTargets) {
  const std::vector<RuleSnapshot> rules = {
      {.name = "web",
       .listener = "tcp://0.0.0.0:80",
       .active = 3,
       .accepted = 12034,
       .refused = 2,
       .failed = 1,
       .dropped = 0,
       .bytes_to_target = 1023,
       .bytes_to_client = 5'000'000'000,
       .targets = {{.place = "tcp://10.0.0.1:80", .addresses = {}, .active = 3},
                   {.place = "tcp://db:80",
                    .addresses = {"10.0.0.2", "10.0.0.3"},
                    .is_name = true,
                    .up = false},
                   {.place = "tcp://gone:80", .addresses = {}, .is_name = true}}},
      {.name = "a\nname", .listener = "udp://[::]:53", .targets = {}}};
  EXPECT_EQ(counters_table(rules),
            "rule       listener          active  accepted  refused  failed  dropped  to target  "
            "to client\n"
            "web        tcp://0.0.0.0:80       3     12034        2       1        0     1023 B  "
            "  4.7 GiB\n"
            "  -> tcp://10.0.0.1:80  up, 3 active\n"
            "  -> tcp://db:80  down, 0 active, at 10.0.0.2 10.0.0.3\n"
            "  -> tcp://gone:80  up, 0 active, no address\n"
            "a\\010name  udp://[::]:53          0         0        0       0        0        0 B  "
            "      0 B\n");
}

TEST(CountersTable, SnapshotReadsEveryCounter) {
  Rule rule = rule_at("127.0.0.1", 80);
  rule.name = "web";
  const auto counters = std::make_shared<RuleCounters>();
  counters->active = 1;
  counters->accepted = 2;
  counters->not_allowed = 4;
  counters->limited = 8;
  counters->bad_proxy_header = 16;
  counters->connect_failed = 32;
  counters->datagrams_dropped = 64;
  counters->bytes_to_target = 128;
  counters->bytes_to_client = 256;
  LiveRule live(rule, {}, counters);
  live.targets.set_up(0, false);
  const RuleSnapshot snapshot = snapshot_of(live);
  EXPECT_EQ(snapshot.name, "web");
  EXPECT_EQ(snapshot.listener, "tcp://127.0.0.1:80");
  EXPECT_EQ(snapshot.active, 1U);
  EXPECT_EQ(snapshot.accepted, 2U);
  EXPECT_EQ(snapshot.refused, 4U + 8U + 16U);
  EXPECT_EQ(snapshot.failed, 32U);
  EXPECT_EQ(snapshot.dropped, 64U);
  EXPECT_EQ(snapshot.bytes_to_target, 128U);
  EXPECT_EQ(snapshot.bytes_to_client, 256U);
  ASSERT_EQ(snapshot.targets.size(), 1U);
  EXPECT_EQ(snapshot.targets[0].place, "tcp://127.0.0.1:9");
  EXPECT_FALSE(snapshot.targets[0].up);
}

}  // namespace
}  // namespace sluice::forward
