#include "telemetry/events/event_stream.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "unit/telemetry/events/checked_stream.h"
#include "unit/telemetry/lines.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using test::CheckedStream;
using test::lines_of;
using test::TemporaryFile;

constexpr EventStream::Time kNoon{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + 12h};

FlowRecord refused() {
  FlowRecord flow;
  flow.verdict = policy::Verdict::kNameUnlisted;
  flow.outcome = policy::Outcome::kNotAccepted;
  return flow;
}

std::vector<nlohmann::json> json_of(const EventQueue& queue) {
  std::vector<nlohmann::json> all;
  for (const std::string& line : lines_of(std::string(queue.pending()))) {
    all.push_back(nlohmann::json::parse(line));
  }
  return all;
}

TEST(EventStream, NobodyWhoListensCostsNothingAndUsesNoNumber) {
  EventStream stream("k3f9wa");
  EXPECT_FALSE(stream.wanted());
  stream.add_flow(kNoon, FlowRecord{});
  stream.end(kNoon, 0);
  EXPECT_EQ(stream.next_flush(), kNever);
  EventQueue queue(1 << 16);
  stream.subscribe(queue);
  EXPECT_TRUE(stream.wanted());
  stream.add(kNoon, StartEvent{.program = "a test", .version = "1"});
  EXPECT_EQ(json_of(queue).at(0)["seq"], 1);
}

TEST(EventStream, AllWhoListenGetTheSameNumbers) {
  const TemporaryFile place;
  EventStream stream("k3f9wa");
  stream.write_to(EventFile::open(place.path()).value());
  stream.add(kNoon, StartEvent{.program = "a test", .version = "1"});
  EventQueue late(1 << 16);
  stream.subscribe(late);
  stream.add_flow(kNoon, FlowRecord{});
  stream.unsubscribe(late);
  stream.end(kNoon, 3);
  const std::vector<std::string> lines = lines_of(place.content());
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1] + "\n", late.pending());
  const auto end = nlohmann::json::parse(lines[2]);
  EXPECT_EQ(end["type"], "end");
  EXPECT_EQ(end["status"], 3);
  EXPECT_EQ(CheckedStream(lines).last, 3U);
}

TEST(EventStream, ASlowSubscriberLosesAloneAndIsTold) {
  EventStream stream("k3f9wa");
  EventQueue slow(2'000);
  EventQueue fast(1 << 20);
  stream.subscribe(slow);
  stream.subscribe(fast);
  for (int i = 0; i < 100; ++i) stream.add_flow(kNoon, FlowRecord{});
  EXPECT_EQ(fast.lost(), 0U);
  EXPECT_GT(slow.lost(), 0U);
  EXPECT_EQ(stream.lost(), slow.lost());
  std::string read(slow.pending());
  slow.taken(read.size());
  stream.add_flow(kNoon, FlowRecord{});
  read += slow.pending();
  const CheckedStream seen(lines_of(read));
  EXPECT_EQ(seen.last, 101U);
  EXPECT_EQ(seen.events + seen.lost, 101U);
}

TEST(EventStream, WhatNeverCameIsMissingForAll) {
  EventStream stream("k3f9wa");
  EventQueue queue(1 << 16);
  stream.subscribe(queue);
  stream.add_flow(kNoon, FlowRecord{});
  stream.lose(5);
  stream.add_flow(kNoon, FlowRecord{});
  stream.end(kNoon, 0);
  const auto all = json_of(queue);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[1]["type"], "lost");
  EXPECT_EQ(all[1]["count"], 5);
  EXPECT_EQ(all[1]["seq"], 6);
  EXPECT_EQ(all[2]["seq"], 7);
  EXPECT_EQ(all[3]["events_lost"], 5);
}

TEST(EventStream, RefusalsWithoutRecordsAreToldAsLeftOut) {
  EventStream stream("k3f9wa");
  EventQueue queue(1 << 16);
  stream.subscribe(queue);
  stream.leave_out_refusals(policy::Verdict::kTooManyFlows, 9);
  stream.end(kNoon, 0);
  const auto all = json_of(queue);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["left_out"], 9);
  EXPECT_EQ(all[0]["reason"], "too-many-flows");
}

TEST(EventStream, AFileThatWasMovedAwayIsOpenedAnew) {
  const TemporaryFile old;
  const TemporaryFile fresh;
  EventStream stream("k3f9wa");
  stream.write_to(EventFile::open(old.path()).value());
  stream.add_flow(kNoon, FlowRecord{});
  ASSERT_TRUE(stream.reopen_file(fresh.path()).has_value());
  EXPECT_FALSE(stream.reopen_file("/nowhere/at/all").has_value());
  stream.end(kNoon, 0);
  EXPECT_EQ(lines_of(old.content()).size(), 1U);
  EXPECT_EQ(lines_of(fresh.content()).size(), 1U);
}

TEST(EventStream, AStormOfRefusalsIsCountedInTheStream) {
  EventStream stream("k3f9wa");
  EventQueue queue(1 << 20);
  stream.subscribe(queue);
  for (int i = 0; i < 10'000; ++i) stream.add_flow(kNoon, refused());
  EXPECT_EQ(json_of(queue).size(), RefusalRate::kBurst);
  stream.end(kNoon, 0);
  const auto all = json_of(queue);
  ASSERT_EQ(all.size(), RefusalRate::kBurst + 2U);
  const auto& left_out = all[RefusalRate::kBurst];
  EXPECT_EQ(left_out["type"], "deny");
  EXPECT_EQ(left_out["reason"], "name-unlisted");
  EXPECT_EQ(left_out["left_out"], 10'000 - RefusalRate::kBurst);
  EXPECT_EQ(all.back()["type"], "end");
}

TEST(EventStream, QuestionsAndFirstBytesHaveTheirOwnBounds) {
  EventStream stream("k3f9wa");
  EventQueue queue(1 << 24);
  stream.subscribe(queue);
  for (int i = 0; i < 5'000; ++i) {
    stream.add_query(kNoon, {.name = "a.test"});
    stream.add_query(kNoon, {.name = "b.test",
                             .result = QueryResult::kRefused,
                             .verdict = policy::Verdict::kNameUnlisted});
    stream.add_gate(kNoon, {.kind = "tls", .name = "a.test"});
  }
  stream.leave_out(7, 0);
  stream.end(kNoon, 0);
  std::map<std::string, std::uint64_t> told;
  std::map<std::string, std::uint64_t> left_out;
  for (const auto& event : json_of(queue)) {
    const std::string kind = event["type"].get<std::string>() + " " + event.value("reason", "");
    if (event.contains("left_out")) {
      left_out[kind] += event["left_out"].get<std::uint64_t>();
      EXPECT_FALSE(event.contains("outcome"));
    } else {
      ++told[kind];
    }
  }
  EXPECT_EQ(told["dns accepted"], 1'000u);
  EXPECT_EQ(told["dns name-unlisted"], RefusalRate::kBurst);
  EXPECT_EQ(told["gate accepted"], 1'000u);
  EXPECT_EQ(left_out["dns accepted"], 4'007u);
  EXPECT_EQ(left_out["dns name-unlisted"], 5'000 - RefusalRate::kBurst);
  EXPECT_EQ(left_out["gate accepted"], 4'000u);
}

// Who keeps a list of what lives would keep it for ever.
TEST(EventStream, AFlowWhoseBeginningWasToldIsNeverLeftOut) {
  EventStream stream("k3f9wa");
  EventQueue queue(1 << 20);
  stream.subscribe(queue);
  FlowRecord revoked = refused();
  revoked.verdict = policy::Verdict::kRevoked;
  revoked.told = true;
  for (int i = 0; i < 1'000; ++i) stream.add_flow(kNoon, revoked);
  EXPECT_EQ(json_of(queue).size(), 1'000U);
}

}  // namespace
}  // namespace sluice::telemetry
