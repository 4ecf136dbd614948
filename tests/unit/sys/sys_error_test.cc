#include "sys/sys_error.h"

#include <gtest/gtest.h>

#include "sys/setup_error.h"

namespace sluice::sys {
namespace {

TEST(SysError, DescribesTheCallAndTheErrno) {
  EXPECT_EQ((SysError{SysOp::kConnect, ECONNREFUSED}).describe(), "connect: Connection refused");
  EXPECT_EQ((SysError{SysOp::kSend, 99999}).describe(), "send: error 99999");
}

TEST(SysError, KnowsExhaustion) {
  EXPECT_TRUE(is_exhaustion(EMFILE));
  EXPECT_TRUE(is_exhaustion(ENFILE));
  EXPECT_TRUE(is_exhaustion(ENOBUFS));
  EXPECT_FALSE(is_exhaustion(ECONNREFUSED));
}

TEST(SetupError, LeavesOutWhatIsNotThere) {
  EXPECT_EQ((SetupError{"/dev/net/tun", EACCES, "as root run: chmod 666 /dev/net/tun"}).describe(),
            "/dev/net/tun: Permission denied; as root run: chmod 666 /dev/net/tun");
  EXPECT_EQ((SetupError{"died", 0, ""}).describe(), "died");
}

}  // namespace
}  // namespace sluice::sys
