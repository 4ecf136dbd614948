#include "web/page_stream.h"

#include <gtest/gtest.h>

#include <array>

namespace sluice::web {
namespace {

std::string all_of(PageStream& stream) {
  std::string text;
  std::array<char, 7> piece{};
  while (!stream.empty()) text.append(piece.data(), stream.take(piece));
  return text;
}

TEST(PageStream, EachLineIsAnEvent) {
  PageStream stream(1000);
  EXPECT_TRUE(stream.empty());
  stream.add(R"({"seq":1})");
  stream.add(R"({"seq":2})");
  EXPECT_EQ(all_of(stream), "data: {\"seq\":1}\n\ndata: {\"seq\":2}\n\n");
}

TEST(PageStream, WhatHasNoRoomIsCountedInItsPlace) {
  PageStream stream(40);
  for (int i = 0; i < 5; ++i) stream.add("0123456789");
  EXPECT_EQ(all_of(stream), "data: 0123456789\n\ndata: 0123456789\n\n");
  stream.add("x");
  EXPECT_EQ(all_of(stream), "event: missed\ndata: 3\n\ndata: x\n\n");
}

TEST(PageStream, ABeatIsNeededOnlyWhereNothingWaits) {
  PageStream stream(1000);
  stream.beat();
  stream.beat();
  stream.add("x");
  EXPECT_EQ(all_of(stream), ":\n\ndata: x\n\n");
}

TEST(PageStream, ItsBeginningIsAnEvent) {
  PageStream stream(1000);
  stream.beat();
  stream.begin();
  stream.add("x");
  EXPECT_EQ(all_of(stream), ":\n\nevent: begin\ndata: {}\n\ndata: x\n\n");
}

TEST(PageStream, TheEndIsToldOnce) {
  PageStream stream(1000);
  EXPECT_FALSE(stream.is_done());
  stream.end();
  stream.end();
  stream.add("late");
  EXPECT_FALSE(stream.is_done());
  EXPECT_EQ(all_of(stream), "event: end\ndata: {}\n\n");
  EXPECT_TRUE(stream.is_done());
}

}  // namespace
}  // namespace sluice::web
