#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "telemetry/trace/trace_export.h"
#include "telemetry/trace/trace_target.h"

namespace sluice::telemetry {
namespace {

constexpr std::uint32_t kSyn = 0x02;
constexpr std::uint32_t kAck = 0x10;

// Records with times of whole microseconds.
class Story {
 public:
  Story& at(std::uint64_t micros, trace::TraceEvent event, std::uint32_t flow = trace::kNoTraceFlow,
            std::uint32_t a = 0, std::uint32_t b = 0) {
    records_.push_back(
        {.time_ns = 5'000'000 + micros * 1000, .flow = flow, .a = a, .b = b, .event = event});
    return *this;
  }
  // 100 microseconds from `start` on, of which the answer takes `wait`.
  Story& cycle(std::uint64_t start, std::uint32_t flow, std::uint32_t port, std::uint64_t wait) {
    return at(start, trace::TraceEvent::kPollReturned, trace::kNoTraceFlow, 1)
        .at(start + 2, trace::TraceEvent::kFrameIn, trace::kNoTraceFlow, 0, kSyn)
        .at(start + 3, trace::TraceEvent::kFlowCreated, flow, port, 443)
        .at(start + 10, trace::TraceEvent::kConnectIssued, flow)
        .at(start + 10 + wait, trace::TraceEvent::kPollReturned, trace::kNoTraceFlow, 1)
        .at(start + 11 + wait, trace::TraceEvent::kConnectDone, flow)
        .at(start + 12 + wait, trace::TraceEvent::kSynAckQueued, flow)
        .at(start + 15 + wait, trace::TraceEvent::kFramesFlushed, trace::kNoTraceFlow, 1)
        .at(start + 20 + wait, trace::TraceEvent::kPollReturned, trace::kNoTraceFlow, 1)
        .at(start + 22 + wait, trace::TraceEvent::kFrameIn, flow, 64, kAck)
        .at(start + 30 + wait, trace::TraceEvent::kBytesToHost, flow, 64, 0)
        .at(start + 31 + wait, trace::TraceEvent::kFlowClosed, flow, 1);
  }
  [[nodiscard]] Trace trace(std::uint64_t overwritten = 0) const {
    return {"crr", records_, overwritten};
  }
  [[nodiscard]] const std::vector<trace::TraceRecord>& records() const { return records_; }

 private:
  std::vector<trace::TraceRecord> records_;
};

std::vector<std::string> names(const TraceCycle& cycle) {
  std::vector<std::string> all;
  for (const TraceStep& step : cycle.steps) all.emplace_back(to_string(step.kind));
  return all;
}

TEST(TraceCycles, BeginWithTheSynAndEndWithTheFlow) {
  const auto cycles = cycles_of(Story().cycle(0, 3, 40'000, 50).records());
  ASSERT_EQ(cycles.size(), 1u);
  EXPECT_EQ(cycles[0].guest_port, 40'000);
  EXPECT_EQ(cycles[0].remote_port, 443);
  EXPECT_TRUE(cycles[0].complete());
  EXPECT_EQ(cycles[0].duration_ns(), 81'000u);
  const std::vector<std::string> wanted{
      "poll_returned (guest)", "frame_in SYN",  "flow_created",   "connect_issued",
      "poll_returned (host)",  "connect_done",  "syn_ack_queued", "frames_flushed",
      "poll_returned (guest)", "frame_in data", "bytes_to_host",  "flow_closed"};
  EXPECT_EQ(names(cycles[0]), wanted);
}

TEST(TraceCycles, KeepFlowsOfTheSameTimeApart) {
  Story story;
  story.at(0, trace::TraceEvent::kPollReturned)
      .at(1, trace::TraceEvent::kFrameIn, trace::kNoTraceFlow, 0, kSyn)
      .at(2, trace::TraceEvent::kFlowCreated, 0, 40'000, 80)
      .at(3, trace::TraceEvent::kFrameIn, trace::kNoTraceFlow, 0, kSyn)
      .at(4, trace::TraceEvent::kFlowCreated, 1, 40'001, 80)
      .at(5, trace::TraceEvent::kSynAckQueued, 1)
      .at(6, trace::TraceEvent::kFramesFlushed)  // Nothing of flow 0 was in it.
      .at(7, trace::TraceEvent::kFlowClosed, 1)
      .at(8, trace::TraceEvent::kFlowClosed, 0);
  const auto cycles = cycles_of(story.records());
  ASSERT_EQ(cycles.size(), 2u);
  EXPECT_EQ(cycles[0].flow, 0u);
  EXPECT_EQ(names(cycles[0]), (std::vector<std::string>{"poll_returned (guest)", "frame_in SYN",
                                                        "flow_created", "flow_closed"}));
  EXPECT_EQ(names(cycles[1]),
            (std::vector<std::string>{"poll_returned (guest)", "frame_in SYN", "flow_created",
                                      "syn_ack_queued", "frames_flushed", "flow_closed"}));
}

TEST(TraceCycles, APlaceIsUsedAgainAndWhatBelongsToNoneIsLeftOut) {
  Story story;
  story
      .at(0, trace::TraceEvent::kBytesToHost, 0, 5)  // Its beginning was overwritten.
      .at(1, trace::TraceEvent::kFlowClosed, 0)
      .cycle(10, 0, 40'000, 1)
      .at(60, trace::TraceEvent::kFrameIn, 0, 0, kAck)  // The flow lingers.
      .cycle(70, 0, 40'001, 1)
      .at(130, trace::TraceEvent::kFlowCreated, 0, 40'002, 443);  // A published port's client.
  const auto cycles = cycles_of(story.records());
  ASSERT_EQ(cycles.size(), 3u);
  EXPECT_EQ(names(cycles[0]), names(cycles[1]));
  EXPECT_EQ(cycles[1].guest_port, 40'001);
  EXPECT_FALSE(cycles[2].complete());
}

TEST(TraceText, ShowsTheMedianCycleAndNamesTheLargestGap) {
  Story story;
  story.cycle(0, 0, 40'000, 50).cycle(1000, 0, 40'001, 20).cycle(2000, 0, 40'002, 60);
  const std::string text = trace_text(story.trace());
  EXPECT_EQ(text.substr(0, text.find("\nAll ")),
            R"(Trace crr: 36 events; 3 connect cycles, 0 not ended.
3 of 3 cycles (100 %) take these 12 steps. "at" and "gap" are of the one whose time
is the median, 81.0 us (port 40000 to 443); p50, p99 and share are of that gap in all of them.

    at us    gap us       p50       p99   share  step                       the gap was spent
      0.0                                          poll_returned (guest)
      2.0       2.0       2.0       2.0   2.7 %  frame_in SYN               reading the tap
      3.0       1.0       1.0       1.0   1.3 %  flow_created               policy and flow table
     10.0       7.0       7.0       7.0   9.4 %  connect_issued             socket() and connect()
     60.0      50.0      50.0      60.0  58.3 %  poll_returned (host)       waiting for the host
     61.0       1.0       1.0       1.0   1.3 %  connect_done               other events
     62.0       1.0       1.0       1.0   1.3 %  syn_ack_queued             making the SYN-ACK
     65.0       3.0       3.0       3.0   4.0 %  frames_flushed             writing to the tap
     70.0       5.0       5.0       5.0   6.7 %  poll_returned (guest)      waiting for the guest
     72.0       2.0       2.0       2.0   2.7 %  frame_in data, 64 B        reading the tap
     80.0       8.0       8.0       8.0  10.8 %  bytes_to_host, 64 B        sendmsg()
     81.0       1.0       1.0       1.0   1.3 %  flow_closed                closing the flow

Largest gap: connect_issued -> poll_returned (host), 50.0 us (p50), 58.3 % of the time:
waiting for the host
)");
  EXPECT_NE(text.find("All 3 cycles"), std::string::npos) << text;
  EXPECT_NE(
      text.find("        3      50.0      60.0  58.3 %  connect_issued -> poll_returned (host)"),
      std::string::npos)
      << text;
}

TEST(TraceText, SaysWhenThereIsNothingAndWhatWasLost) {
  EXPECT_EQ(trace_text(Story().trace()),
            "Trace crr: 0 events; 0 connect cycles, 0 not ended.\n"
            "No TCP flow began and ended, so there is nothing to time.\n");
  const std::string text = trace_text(Story().cycle(0, 0, 1, 1).trace(17));
  EXPECT_NE(text.find("12 events, the newest (17 before them were overwritten);"),
            std::string::npos)
      << text;
}

using Json = nlohmann::json;

TEST(TraceJson, HasATrackForEachFlowWithASliceForEachGap) {
  Story story;
  story.cycle(0, 0, 40'000, 50).cycle(1000, 0, 40'001, 20);
  const Json root = Json::parse(trace_json(story.trace(5)));
  EXPECT_EQ(root["otherData"]["target"], "crr");
  EXPECT_EQ(root["otherData"]["overwritten"], 5);
  std::vector<Json> slices;
  std::vector<std::string> moments;
  std::vector<std::string> tracks;
  for (const Json& event : root["traceEvents"]) {
    if (event["name"] == "thread_name") tracks.push_back(event["args"]["name"]);
    if (event["tid"] != 2) continue;
    if (event["ph"] == "X") slices.push_back(event);
    if (event["ph"] == "i") moments.push_back(event["name"]);
  }
  EXPECT_EQ(tracks, (std::vector<std::string>{"worker", "flow 40000 to 443", "flow 40001 to 443"}));
  ASSERT_EQ(slices.size(), 12u);
  EXPECT_EQ(slices[0]["name"], "cycle");
  EXPECT_EQ(slices[0]["ts"], 1000.0);
  EXPECT_EQ(slices[0]["dur"], 51.0);
  EXPECT_EQ(slices[4]["name"], "waiting for the host");
  EXPECT_EQ(slices[4]["args"]["from"], "connect_issued");
  EXPECT_EQ(slices[4]["ts"], 1010.0);
  EXPECT_EQ(slices[4]["dur"], 20.0);
  ASSERT_EQ(moments.size(), 12u);
  EXPECT_EQ(moments.back(), "flow_closed");
}

TEST(TraceJson, OfNothingIsStillJson) {
  const Json root = Json::parse(trace_json(Story().trace()));
  EXPECT_TRUE(root["traceEvents"].is_array());
}

TEST(TraceTarget, IsFoundByName) {
  ASSERT_NE(find_trace_target("crr"), nullptr);
  EXPECT_EQ(find_trace_target("cr"), nullptr);
  EXPECT_EQ(find_trace_target(""), nullptr);
}

}  // namespace
}  // namespace sluice::telemetry
