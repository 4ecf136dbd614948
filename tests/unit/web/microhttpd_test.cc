#include "web/microhttpd.h"

#include <gtest/gtest.h>

namespace sluice::web {
namespace {

TEST(Microhttpd, ItIsLoadedWhole) {
  const auto mhd = Microhttpd::load();
  ASSERT_TRUE(mhd.has_value());
  EXPECT_NE(mhd->start_daemon, nullptr);
  EXPECT_NE(mhd->destroy_response, nullptr);
}

}  // namespace
}  // namespace sluice::web
