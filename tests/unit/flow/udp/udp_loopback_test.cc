// Datagrams between the guest's loopback and the host's: flows without frames.
#include <gtest/gtest.h>

#include "flow/udp/udp_flows.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow {
namespace {

using namespace test;

class UdpLoopbackTest : public EngineFixture {
 protected:
  void write(const Bytes& bytes, std::uint32_t listener = 3, std::uint16_t segment_size = 0) {
    engine().udp().on_loopback_datagrams(
        {.guest = program_, .target = target_, .listener = listener}, bytes, segment_size,
        {now, sink});
    collect();
  }
  void answer(UdpId socket, const wire::Endpoint& from, const Bytes& bytes) {
    engine().udp().on_received(socket, from, std::nullopt, bytes, 0, {now, sink});
    collect();
  }

  const wire::Endpoint program_ = endpoint("127.0.0.1:41000");
  const wire::Endpoint target_ = endpoint("127.0.0.1:5353");
  const Bytes question_ = Bytes(100, 7);
  const Bytes answer_ = Bytes(300, 9);
};

TEST_F(UdpLoopbackTest, AProgramReachesTheHostAndIsAnsweredByItsListener) {
  sink.want_openings(true);
  write(question_);
  const auto opened = all<OpenUdp>();
  ASSERT_EQ(opened.size(), 1U);
  EXPECT_TRUE(opened[0].at_loopback) << "it does not leave this machine, whatever way others go";
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].action.target, target_);
  EXPECT_EQ(datagrams[0].bytes, question_);
  ASSERT_EQ(all<ReportFlow>().size(), 1U);
  EXPECT_TRUE(all<ReportFlow>()[0].summary.by_loopback);
  clear();
  answer(opened[0].socket, target_, answer_);
  const auto said = take<AnswerGuest>();
  EXPECT_EQ(said.listener, 3U);
  EXPECT_EQ(said.target, program_);
  EXPECT_EQ(said.payload.size(), answer_.size());
  EXPECT_TRUE(frames.empty());
  pass(UdpFlows::kAnswered);
  const FlowSummary summary = all<ReportFlow>().at(0).summary;
  EXPECT_EQ(summary.key.guest, program_);
  EXPECT_EQ(summary.key.remote, target_);
  EXPECT_EQ(summary.bytes_to_host, question_.size());
  EXPECT_EQ(summary.bytes_to_guest, answer_.size());
  EXPECT_EQ(summary.outcome, policy::Outcome::kClosed);
  EXPECT_EQ(all<CloseUdp>().size(), 1U);
}

TEST_F(UdpLoopbackTest, OnlyWhoWasWrittenToMayAnswer) {
  write(question_);
  const UdpId socket = all<OpenUdp>().at(0).socket;
  clear();
  answer(socket, endpoint("127.0.0.1:5354"), answer_);
  answer(socket, endpoint("192.0.2.1:5353"), answer_);
  EXPECT_TRUE(all<AnswerGuest>().empty());
  EXPECT_TRUE(frames.empty());
}

TEST_F(UdpLoopbackTest, TheListenerThatWasUsedLastAnswers) {
  write(question_, 3);
  const UdpId socket = all<OpenUdp>().at(0).socket;
  write(question_, 8);
  clear();
  answer(socket, target_, answer_);
  EXPECT_EQ(take<AnswerGuest>().listener, 8U);
}

TEST_F(UdpLoopbackTest, ErrorsOfTheHostMakeNoFrame) {
  write(question_);
  const UdpId socket = all<OpenUdp>().at(0).socket;
  clear();
  engine().on_udp_error(socket, target_, {.kind = IcmpErrorKind::kPortUnreachable}, question_,
                        {now, sink});
  collect();
  EXPECT_TRUE(frames.empty());
}

TEST_F(UdpLoopbackTest, ItCountsForTheLimitsOfTheRun) {
  EngineOptions options;
  options.limits.max_flows = 1;
  restart(std::move(options));
  write(question_);
  clear();
  engine().udp().on_loopback_datagrams(
      {.guest = endpoint("127.0.0.1:41001"), .target = target_, .listener = 0}, question_, 0,
      {now, sink});
  collect();
  EXPECT_TRUE(datagrams.empty());
  EXPECT_EQ(all<ReportFlow>().at(0).summary.verdict, policy::Verdict::kTooManyFlows);
}

TEST_F(UdpLoopbackTest, APolicyThatChangesIsNotAsked) {
  write(question_);
  clear();
  const policy::EgressPolicy nothing = denying("*");
  engine().set_policy(nothing, {now, sink});
  collect();
  EXPECT_EQ(engine().flow_count(), 1U);
}

}  // namespace
}  // namespace sluice::flow
