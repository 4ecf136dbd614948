#include "link/vhost_user/ring_calls.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace sluice::link {
namespace {

TEST(RingCalls, ACallIsOneMoreForItsDescriptor) {
  const RingCalls calls(sys::real_kernel());
  VhostRing ring;
  calls.call(nullptr);
  calls.call(&ring);
  ring.call = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  calls.never_block(ring);
  std::uint64_t count = 0;
  EXPECT_LT(::read(ring.call.get(), &count, sizeof count), 0) << "it does not block";
  calls.call(&ring);
  calls.call(&ring);
  EXPECT_EQ(::read(ring.call.get(), &count, sizeof count), 8);
  EXPECT_EQ(count, 2U);
}

TEST(RingCalls, ARingRunsWhileItIsThereAndEnabled) {
  VhostRing ring;
  EXPECT_FALSE(runs(nullptr));
  EXPECT_FALSE(runs(&ring));
  ring.enabled = true;
  EXPECT_TRUE(runs(&ring));
}

}  // namespace
}  // namespace sluice::link
