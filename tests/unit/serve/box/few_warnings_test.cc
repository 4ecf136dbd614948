#include "serve/box/few_warnings.h"

#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sluice::serve {
namespace {

TEST(FewWarnings, TheFirstAreToldAndThenThatNoMoreWillBe) {
  std::vector<std::string> told;
  FewWarnings warnings([&](std::string_view text) { told.emplace_back(text); });
  for (int i = 0; i < 1000; ++i) warnings.warn("broken");
  ASSERT_EQ(told.size(), FewWarnings::kMost + 1);
  EXPECT_EQ(told[FewWarnings::kMost - 1], "broken");
  EXPECT_NE(told.back().find("no more"), std::string::npos);
}

TEST(FewWarnings, SeveralThreadsMayWarnAtOnce) {
  std::mutex lock;
  std::size_t told = 0;
  FewWarnings warnings([&](std::string_view) {
    const std::scoped_lock held(lock);
    ++told;
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) warnings.warn("broken");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(told, FewWarnings::kMost + 1);
}

}  // namespace
}  // namespace sluice::serve
