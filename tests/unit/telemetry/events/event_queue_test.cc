#include "telemetry/events/event_queue.h"

#include <gtest/gtest.h>

#include <string>

#include "unit/telemetry/events/checked_stream.h"
#include "unit/telemetry/lines.h"

namespace sluice::telemetry {
namespace {

using test::CheckedStream;
using test::lines_of;

void add(EventQueue& queue, std::uint64_t sequence) {
  fmt::memory_buffer line;
  const EventHead head{sequence, {}, "k3f9wa"};
  append_event(line, head, StartEvent{.program = "a test", .version = "1"});
  queue.add(head, {line.data(), line.size()});
}

std::string take(EventQueue& queue, std::size_t bytes) {
  std::string text(queue.pending().substr(0, bytes));
  queue.taken(text.size());
  return text;
}

TEST(EventQueue, GivesLinesInTheirOrder) {
  EventQueue queue(1 << 16);
  EXPECT_TRUE(queue.empty());
  for (std::uint64_t i = 1; i <= 3; ++i) add(queue, i);
  const CheckedStream read(lines_of(take(queue, std::string::npos)));
  EXPECT_EQ(read.last, 3U);
  EXPECT_EQ(read.events, 3U);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.lost(), 0U);
}

TEST(EventQueue, WhoComesLateHasNotLostWhatWasBefore) {
  EventQueue queue(1 << 16);
  add(queue, 900);
  EXPECT_EQ(lines_of(take(queue, std::string::npos)).size(), 1U);
  EXPECT_EQ(queue.lost(), 0U);
}

TEST(EventQueue, WhatHasNoRoomIsLostAndToldInItsPlace) {
  EventQueue queue(1'000);
  for (std::uint64_t i = 1; i <= 100; ++i) add(queue, i);
  EXPECT_LE(queue.pending().size(), 1'000U);
  std::string read = take(queue, 500);
  add(queue, 101);
  read += take(queue, std::string::npos);
  const CheckedStream stream(lines_of(read));
  EXPECT_EQ(stream.last, 101U);
  EXPECT_GT(stream.lost, 50U);
  EXPECT_EQ(stream.lost, queue.lost());
  EXPECT_EQ(stream.events + stream.lost, 101U);
}

// Though no event comes any more.
TEST(EventQueue, WhoHasReadAllIsToldWhatIsMissing) {
  EventQueue queue(600);
  for (std::uint64_t i = 1; i <= 20; ++i) add(queue, i);
  std::string read = take(queue, std::string::npos);
  EXPECT_FALSE(queue.empty());
  read += take(queue, std::string::npos);
  EXPECT_TRUE(queue.empty());
  const CheckedStream stream(lines_of(read));
  EXPECT_EQ(stream.last, 20U);
  EXPECT_EQ(stream.events + stream.lost, 20U);
}

// A reader of any speed, by pieces of any size: what it has is without an untold gap.
TEST(EventQueue, PiecesOfAnySizeMakeAStreamWithoutGaps) {
  for (std::size_t piece = 1; piece < 400; piece += 13) {
    EventQueue queue(700);
    std::string read;
    for (std::uint64_t i = 1; i <= 300; ++i) {
      add(queue, i);
      if (i % 3 == 0) read += take(queue, piece);
    }
    while (!queue.empty()) read += take(queue, piece);
    const CheckedStream stream(lines_of(read));
    EXPECT_EQ(stream.last, 300U) << piece;
    EXPECT_EQ(stream.events + stream.lost, 300U) << piece;
    EXPECT_EQ(stream.lost, queue.lost()) << piece;
  }
}

TEST(EventQueue, WhatAnErrorLosesIsTold) {
  EventQueue queue(1 << 16);
  for (std::uint64_t i = 1; i <= 10; ++i) add(queue, i);
  const std::vector<std::string> all = lines_of(std::string(queue.pending()));
  queue.taken_but(4);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.lost(), 4U);
  std::vector<std::string> read(all.begin(), all.begin() + 6);
  add(queue, 11);
  for (const std::string& line : lines_of(std::string(queue.pending()))) read.push_back(line);
  // ... and once more, the line that told of it included.
  queue.taken_but(2);
  read.resize(6);
  EXPECT_EQ(queue.lost(), 5U);
  add(queue, 12);
  for (const std::string& line : lines_of(take(queue, std::string::npos))) read.push_back(line);
  const CheckedStream stream(read);
  EXPECT_EQ(stream.last, 12U);
  EXPECT_EQ(stream.lost, 5U);
  EXPECT_EQ(stream.events, 7U);
}

}  // namespace
}  // namespace sluice::telemetry
