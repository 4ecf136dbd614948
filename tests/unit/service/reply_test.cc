#include "service/reply.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace sluice::service {
namespace {

using namespace std::chrono_literals;

TEST(Reply, ComesFromAnotherThread) {
  const auto reply = std::make_shared<Reply<int>>();
  std::thread other([reply] { reply->give(7); });
  EXPECT_EQ(reply->await(10s), 7);
  other.join();
}

TEST(Reply, IsNotWaitedForForEver) {
  Reply<int> reply;
  EXPECT_EQ(reply.await(1ms), std::nullopt);
  EXPECT_FALSE(reply.is_there());
  reply.give(1);
  EXPECT_TRUE(reply.is_there());
  EXPECT_EQ(reply.await(0ms), 1);
}

}  // namespace
}  // namespace sluice::service
