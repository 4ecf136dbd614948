#include "telemetry/events/seen_event.h"

#include <gtest/gtest.h>

#include <string>

#include "telemetry/events/event_line.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;

constexpr SeenEvent::Time kNoon{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + 12h};

TEST(SeenEvent, IsWhatWasWritten) {
  FlowRecord flow;
  flow.guest = {wire::parse_ip("10.0.2.15").value(), wire::Port{40'000}};
  flow.peer = {wire::parse_ip("2001:db8::7").value(), wire::Port{443}};
  flow.name = "example.org";
  flow.opened = kNoon;
  flow.duration = 1'250ms;
  flow.bytes_to_guest = ~0ULL;
  flow.number = 7;
  fmt::memory_buffer line;
  append_event(line, {9, kNoon + 1'250ms, "k3f9wa"}, FlowEvent{flow});
  const auto event = read_event({line.data(), line.size() - 1});
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->sequence, 9U);
  EXPECT_EQ(event->time, kNoon + 1'250ms);
  EXPECT_EQ(event->type, "close");
  EXPECT_EQ(event->run, "k3f9wa");
  EXPECT_EQ(event->flow, "0000000000000007");
  EXPECT_EQ(event->name, "example.org");
  EXPECT_EQ(event->address, "2001:db8::7");
  EXPECT_EQ(event->port, 443);
  EXPECT_EQ(event->opened, kNoon);
  EXPECT_EQ(event->duration, Duration{1'250ms});
  EXPECT_EQ(event->bytes_to_guest, ~0ULL);
  EXPECT_FALSE(event->is_refusal());
}

TEST(SeenEvent, AnythingElseIsNoEventOrHasNothingThere) {
  for (const std::string line :
       {"", "{", "[]", "null", "7", R"({"v":1})", R"({"v":2,"type":"open"})",
        R"({"v":"1","type":"open"})", R"({"v":1,"type":7})", "\xff\xfe"}) {
    EXPECT_FALSE(read_event(line).has_value()) << line;
  }
  EXPECT_FALSE(read_event(R"({"v":1,"type":")" + std::string(kEventLineMax, 'x') + "\"}"));
  EXPECT_FALSE(read_event(std::string(kEventLineMax - 1, '[')).has_value());
  const auto event = read_event(
      R"({"v":1,"type":"open","seq":-1,"port":70000,"name":null,"time":"x","duration_s":1e300})");
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->sequence, 0U);
  EXPECT_EQ(event->port, 0);
  EXPECT_EQ(event->name, "");
  EXPECT_LT(event->duration, Duration{std::chrono::hours(24 * 366 * 102)});
}

TEST(SeenEvent, TimesOfAnyPrecisionAreRead) {
  EXPECT_EQ(parse_event_time("2026-03-01T12:00:00Z"), kNoon);
  EXPECT_EQ(parse_event_time("2026-03-01T12:00:00.5Z"), kNoon + 500ms);
  EXPECT_EQ(parse_event_time("2026-03-01T12:00:00.123456789Z"), kNoon + 123'456us);
  for (const char* text : {"", "Z", "2026-03-01T12:00:00", "2026-02-30T12:00:00Z",
                           "2026-03-01T24:00:00Z", "2026-03-01 12:00:00Z", "2026-03-01T12:00:00.xZ",
                           "2026-03-01T12:00:00+1Z", "20x6-03-01T12:00:00Z"}) {
    EXPECT_FALSE(parse_event_time(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace sluice::telemetry
