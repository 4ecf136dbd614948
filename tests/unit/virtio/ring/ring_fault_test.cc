#include "virtio/ring/ring_fault.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::virtio {
namespace {

TEST(RingFault, EachHasAReasonOfItsOwn) {
  std::set<std::string_view> texts;
  for (int i = 0; i <= static_cast<int>(RingFault::kNoRoomForHeader); ++i) {
    EXPECT_TRUE(texts.insert(text_of(static_cast<RingFault>(i))).second) << i;
  }
}

}  // namespace
}  // namespace sluice::virtio
