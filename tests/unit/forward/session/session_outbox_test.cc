#include "forward/session/session_outbox.h"

#include <gtest/gtest.h>

namespace sluice::forward {
namespace {

SessionRecord record(SessionResult result) {
  SessionRecord made;
  made.result = result;
  return made;
}

TEST(SessionOutbox, GivesWhatCameOnceInItsOrder) {
  SessionOutbox outbox;
  EXPECT_FALSE(outbox.has_news());
  outbox.add(record(SessionResult::kOpened));
  outbox.add(record(SessionResult::kIdle));
  EXPECT_TRUE(outbox.has_news());
  EXPECT_FALSE(outbox.has_news());
  const auto content = outbox.take();
  ASSERT_EQ(content.records.size(), 2U);
  EXPECT_EQ(content.records[0].result, SessionResult::kOpened);
  EXPECT_EQ(content.lost, 0U);
  EXPECT_TRUE(outbox.take().records.empty());
}

TEST(SessionOutbox, WhatHasNoRoomIsCounted) {
  SessionOutbox outbox;
  for (std::size_t i = 0; i < SessionOutbox::kRecordsMax + 7; ++i) {
    outbox.add(record(SessionResult::kOpened));
  }
  const auto content = outbox.take();
  EXPECT_EQ(content.records.size(), SessionOutbox::kRecordsMax);
  EXPECT_EQ(content.lost, 7U);
}

TEST(SessionOutbox, RefusalsLeaveRoomForOthers) {
  SessionOutbox outbox;
  for (std::size_t i = 0; i < SessionOutbox::kRecordsMax; ++i) {
    outbox.add(record(SessionResult::kLimited));
  }
  outbox.add(record(SessionResult::kOpened));
  const auto content = outbox.take();
  EXPECT_EQ(content.records.back().result, SessionResult::kOpened);
  EXPECT_EQ(content.lost, 0U);
  std::uint64_t left_out = 0;
  for (std::size_t i = 0; i < kRefusedBeforehand.size(); ++i) {
    left_out += content.left_out[i];
    EXPECT_EQ(content.left_out[i] > 0, kRefusedBeforehand[i] == SessionResult::kLimited);
  }
  EXPECT_EQ(left_out + content.records.size() - 1, SessionOutbox::kRecordsMax);
}

}  // namespace
}  // namespace sluice::forward
