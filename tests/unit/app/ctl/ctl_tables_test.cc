#include "app/ctl/ctl_tables.h"

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

using Cells = std::vector<std::string>;

TEST(CtlTables, ColumnsStandUnderEachOther) {
  Table table({"A", "LONG", "C"});
  table.add({"wide cell", "1", "x"});
  EXPECT_EQ(table.text(),
            "A          LONG  C\n"
            "wide cell  1     x\n");
  EXPECT_EQ(table.rows(), 1u);
}

TEST(CtlTables, AFlowIsARow) {
  EXPECT_EQ(flow_row(R"({"flow":"00c0ffee00c0ffee","proto":"tcp","direction":"out",)"
                     R"("guest":"10.0.2.15","guest_port":40000,"name":"example.org",)"
                     R"("address":"192.0.2.7","port":443,"duration_s":1.250000,)"
                     R"("bytes_to_host":120,"bytes_to_guest":5300,"path":"kernel"})"),
            (Cells{"00c0ffee00c0ffee", "tcp", "example.org", "192.0.2.7:443", "kernel", "120 B",
                   "5.2 KiB", "1.25 s"}));
  EXPECT_EQ(flow_row(R"({"flow":"00c0ffee00c0ffee","proto":"tcp","direction":"in",)"
                     R"("guest_port":80,"name":null,"address":"2001:db8::1","port":5000})")[2],
            "< :80");
  EXPECT_EQ(flow_row(R"({"flow":"0","address":"2001:db8::1","port":5000})")[3],
            "[2001:db8::1]:5000");
  EXPECT_EQ(flow_row(R"({"flow":"0","address":"192.0.2.1","port":0})")[3], "192.0.2.1");
}

TEST(CtlTables, WhatIsNoFlowIsNoRow) {
  EXPECT_TRUE(flow_row("").empty());
  EXPECT_TRUE(flow_row("[1,2]").empty());
  EXPECT_TRUE(flow_row(R"({"ok":true})").empty());
  EXPECT_TRUE(run_row("{").empty());
}

TEST(CtlTables, ARunIsARow) {
  EXPECT_EQ(run_row(R"({"run":"k3f9wa","pid":17,"program":"sluice run","flows":3,"uptime_s":61})"),
            (Cells{"k3f9wa", "17", "sluice run", "3", "1 m 01 s"}));
}

TEST(CtlTables, AStatusHasALineForEachMember) {
  EXPECT_EQ(status_lines(R"({"v":1,"id":0,"ok":true,"run":"k3f9wa","uptime_s":2.5,"flows":3,)"
                         R"("drops":{"denied-by-policy":12},"fast_path":{}})"),
            "run         k3f9wa\n"
            "up          2.50 s\n"
            "flows       3\n"
            "drops\n"
            "          12  denied-by-policy\n");
  EXPECT_EQ(status_lines("x"), "");
}

TEST(CtlTables, NothingReachesATerminalRaw) {
  EXPECT_EQ(shown("a\x1b[31m\x07\xc3\xa4"), "a?[31m???");
  EXPECT_EQ(flow_row(R"({"flow":"0","name":"\u001b[2J"})")[2], "?[2J");
}

}  // namespace
}  // namespace sluice::app
