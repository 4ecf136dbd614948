#include "driver/group/parcel.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::driver {
namespace {

using Bytes = std::vector<std::uint8_t>;

TEST(Parcel, FramesComeOutAsTheyWentIn) {
  Parcel parcel;
  EXPECT_TRUE(parcel.empty());
  std::vector<Bytes> frames;
  for (std::size_t i = 0; i < 100; ++i) {
    frames.emplace_back(1 + i * 37, static_cast<std::uint8_t>(i));
    wire::VirtioNetHeader offload;
    offload.gso_size = static_cast<std::uint16_t>(i);
    parcel.add({frames.back(), offload});
  }
  ASSERT_EQ(parcel.size(), 100U);
  for (std::size_t i = 0; i < 100; ++i) {
    const wire::FrameIn frame = parcel.frame(i);
    EXPECT_TRUE(std::ranges::equal(frame.bytes, frames[i])) << i;
    EXPECT_EQ(frame.offload.gso_size, i);
  }
}

TEST(Parcel, AFrameInPiecesIsWhole) {
  const Bytes head(100, 1);
  const Bytes first(5000, 2);
  const Bytes second(70, 3);
  const std::vector<ByteView> rest{first, second};
  Parcel parcel;
  parcel.add({.bytes = head, .offload = {}, .rest = rest});
  parcel.add({head, {}});
  Bytes whole = head;
  whole.insert(whole.end(), first.begin(), first.end());
  whole.insert(whole.end(), second.begin(), second.end());
  EXPECT_TRUE(std::ranges::equal(parcel.frame(0).bytes, whole));
  EXPECT_TRUE(parcel.frame(0).rest.empty());
  EXPECT_TRUE(std::ranges::equal(parcel.frame(1).bytes, head));
}

TEST(Parcel, WhatItHoldsIsCounted) {
  Parcel parcel;
  EXPECT_EQ(parcel.bytes(), 0U);
  parcel.add({Bytes(1000), {}});
  EXPECT_GE(parcel.bytes(), 1000U);
  // Frames without bytes are not for nothing.
  const std::size_t before = parcel.bytes();
  for (int i = 0; i < 1000; ++i) parcel.add({{}, {}});
  EXPECT_GE(parcel.bytes(), before + 1000);
  parcel.clear();
  EXPECT_TRUE(parcel.empty());
  EXPECT_EQ(parcel.bytes(), 0U);
}

}  // namespace
}  // namespace sluice::driver
