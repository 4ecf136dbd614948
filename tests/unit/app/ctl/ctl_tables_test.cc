#include "app/ctl/ctl_tables.h"

#include <gtest/gtest.h>

#include <algorithm>

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

TEST(CtlTables, WhatIsCountedStandsRight) {
  Table table({"NAME", "TIMES", "REASON"});
  table.add({"a.test", "7", "x"});
  table.add({"b.test", "123456", "y"});
  EXPECT_EQ(table.text(),
            "NAME     TIMES  REASON\n"
            "a.test       7  x\n"
            "b.test  123456  y\n");
}

TEST(CtlTables, ATableFitsItsTerminal) {
  Table table({"FLOW", "WITH", "ADDRESS", "AGE"});
  table.add({"00c0ffee", "a-long-label.and-another.example.org:443/tcp", "192.0.2.7", "1.25 s"});
  table.add({"00c0ffef", "[2001:db8::1]:5000/udp", "-", "10 s"});
  const TableFit fit{.width = 0, .drop = "ADDRESS", .cut = "WITH"};
  EXPECT_EQ(table.text(fit), table.text());
  const auto widest = [](const std::string& text) {
    std::size_t most = 0;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      most = std::max(most, end - at);
      at = end + 1;
    }
    return most;
  };
  const std::size_t whole = widest(table.text());
  EXPECT_EQ(table.text({.width = whole, .drop = "ADDRESS", .cut = "WITH"}), table.text());
  EXPECT_EQ(table.text({.width = 48, .drop = "ADDRESS", .cut = "WITH"}),
            "FLOW      WITH                               AGE\n"
            "00c0ffee  ..-another.example.org:443/tcp  1.25 s\n"
            "00c0ffef  [2001:db8::1]:5000/udp            10 s\n");
  for (std::size_t width = 30; width <= whole; ++width) {
    EXPECT_LE(widest(table.text({.width = width, .drop = "ADDRESS", .cut = "WITH"})), width);
  }
  // Less than this says nothing: the terminal wraps it.
  EXPECT_NE(table.text({.width = 1, .cut = "WITH"}).find("..rg:443/tcp"), std::string::npos);
}

TEST(CtlTables, AFlowIsARow) {
  EXPECT_EQ(flow_row(R"({"flow":"00c0ffee00c0ffee","proto":"tcp","direction":"out",)"
                     R"("guest":"10.0.2.15","guest_port":40000,"name":"example.org",)"
                     R"("address":"192.0.2.7","port":443,"duration_s":1.250000,)"
                     R"("bytes_to_host":120,"bytes_to_guest":5300,"path":"kernel"})"),
            (Cells{"00c0ffee00c0ffee", "example.org:443/tcp", "192.0.2.7", "kernel", "120 B",
                   "5.2 KiB", "1.25 s"}));
  EXPECT_EQ(flow_row(R"({"flow":"00c0ffee00c0ffee","proto":"tcp","direction":"in",)"
                     R"("guest_port":80,"name":null,"address":"2001:db8::1","port":5000})")[1],
            ":80/tcp < [2001:db8::1]:5000");
  const Cells unnamed =
      flow_row(R"({"flow":"0","proto":"udp","address":"2001:db8::1","port":5000})");
  EXPECT_EQ(unnamed[1], "[2001:db8::1]:5000/udp");
  EXPECT_EQ(unnamed[2], "-");
  EXPECT_EQ(flow_row(R"({"flow":"0","proto":"icmp","address":"192.0.2.1","port":0})")[1],
            "192.0.2.1/icmp");
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
  EXPECT_EQ(flow_row(R"({"flow":"0","proto":"tcp","name":"\u001b[2J"})")[1], "?[2J/tcp");
}

}  // namespace
}  // namespace sluice::app
