#include "virtio/dirty_log.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::virtio {
namespace {

using Bytes = std::vector<std::uint8_t>;

TEST(DirtyLog, MarksEachPageOfARange) {
  Bytes bitmap(4);
  const DirtyLog log(bitmap);
  log.mark(0x7fff, 2);
  EXPECT_EQ(bitmap, (Bytes{0x80, 0x01, 0, 0}));
  log.mark(0x12000, 0x2001);
  EXPECT_EQ(bitmap, (Bytes{0x80, 0x01, 0b0001'1100, 0}));
  log.mark(0x1000, 0);
  EXPECT_EQ(bitmap, (Bytes{0x80, 0x01, 0b0001'1100, 0}));
}

TEST(DirtyLog, PassesOverWhatHasNoBit) {
  Bytes bitmap(1);
  const DirtyLog log(bitmap);
  log.mark(0x7000, 0x10'0000);
  log.mark(0x8000, 1);
  log.mark(UINT64_MAX, UINT64_MAX);
  EXPECT_EQ(bitmap, (Bytes{0x80}));
}

TEST(DirtyLog, WithoutABitmapThereIsNone) {
  const DirtyLog log;
  EXPECT_FALSE(log);
  log.mark(0, 1);
}

}  // namespace
}  // namespace sluice::virtio
