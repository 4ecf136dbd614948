#include "app/top/guest_processes.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace sluice::app {
namespace {

TEST(GuestProcesses, ATableOfSocketsIsRead) {
  const auto rows = read_socket_table(
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
      "inode\n"
      "   0: 0F02000A:9C40 070200C0:01BB 01 00000000:00000000 00:00000000 00000000     0        0 "
      "4711 1 0000000000000000 20 4 30 10 -1\n"
      "   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
      "0 1\n"
      "   2: nonsense\n");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].port, 40'000);
  EXPECT_EQ(rows[0].remote_port, 443);
  EXPECT_EQ(rows[0].inode, 4711u);
  EXPECT_TRUE(read_socket_table("").empty());
}

TEST(GuestProcesses, WithoutAGuestNothingIsNamed) {
  std::vector<TopFlow> flows{{.number = "1", .proto = "tcp", .guest_port = 40'000}};
  GuestProcesses(::getpid()).name_processes(flows);
  EXPECT_EQ(flows[0].process, "");
}

}  // namespace
}  // namespace sluice::app
