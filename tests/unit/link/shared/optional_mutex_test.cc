#include "link/shared/optional_mutex.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sluice::link {
namespace {

TEST(OptionalMutex, SharedItLetsOneInAtATime) {
  OptionalMutex mutex;
  mutex.share();
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) {
        const std::scoped_lock lock(mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 4000);
}

TEST(OptionalMutex, AloneItKeepsNobodyOut) {
  OptionalMutex mutex;
  const std::scoped_lock outer(mutex);
  const std::scoped_lock inner(mutex);
}

}  // namespace
}  // namespace sluice::link
