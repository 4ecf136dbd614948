#include "control/run_address.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::control {
namespace {

// As the kernel prints it.
constexpr std::string_view kSockets =
    "Num       RefCount Protocol Flags    Type St Inode Path\n"
    "0000000000000000: 00000002 00000000 00010000 0001 01 1001 @sluice/1000/k3f9wa\n"
    "0000000000000000: 00000003 00000000 00000000 0001 03 1002 @sluice/1000/k3f9wa\n"
    "0000000000000000: 00000003 00000000 00000000 0001 03 1003 @sluice/1000/zzzzzz\n"
    "0000000000000000: 00000002 00000000 00010000 0001 01 1004 @sluice/1000/abcdef\n"
    "0000000000000000: 00000002 00000000 00010000 0001 01 1005 @sluice/10/qqqqqq\n"
    "0000000000000000: 00000002 00000000 00010000 0001 01 1006 /run/sluice/1000/yyyyyy\n"
    "0000000000000000: 00000003 00000000 00000000 0001 03 1007\n";

TEST(RunAddress, IsAnAbstractName) {
  EXPECT_EQ(socket_name(1000, "k3f9wa"), "@sluice/1000/k3f9wa");
}

TEST(RunAddress, RunsAreThoseThatListen) {
  EXPECT_EQ(runs_named(kSockets, 1000), (std::vector<std::string>{"abcdef", "k3f9wa"}));
  EXPECT_EQ(runs_named(kSockets, 10), (std::vector<std::string>{"qqqqqq"}));
  EXPECT_TRUE(runs_named(kSockets, 100).empty());
  EXPECT_TRUE(runs_named("", 1000).empty());
  const auto all = user_runs_named(kSockets);
  EXPECT_EQ(std::ranges::count(all, UserRun{1000, "k3f9wa"}), 1);
  EXPECT_EQ(std::ranges::count(all, UserRun{10, "qqqqqq"}), 1);
  EXPECT_TRUE(user_runs_named("").empty());
  EXPECT_TRUE(runs_named("no newline", 1000).empty());
}

}  // namespace
}  // namespace sluice::control
