#include "host/error_queue.h"

#include <gtest/gtest.h>

namespace sluice::host {
namespace {

TEST(ErrorReport, OnlyWhatIcmpTellsIsARefusal) {
  const auto refuses = [](ErrorOrigin origin, int error) {
    return is_refusal({.origin = origin, .error = error, .destination = {}});
  };
  EXPECT_TRUE(refuses(ErrorOrigin::kIcmp, ECONNREFUSED));
  EXPECT_TRUE(refuses(ErrorOrigin::kIcmpv6, EHOSTUNREACH));
  EXPECT_FALSE(refuses(ErrorOrigin::kIcmp, EMSGSIZE));
  EXPECT_FALSE(refuses(ErrorOrigin::kIcmpv6, EMSGSIZE));
  EXPECT_FALSE(refuses(ErrorOrigin::kLocal, EHOSTUNREACH));
  EXPECT_FALSE(refuses(ErrorOrigin::kOther, ECONNREFUSED));
}

}  // namespace
}  // namespace sluice::host
