#include "forward/sight/session_flow.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace sluice::forward {
namespace {

using policy::Outcome;
using policy::Verdict;

Rule rule_to(const Place& target) {
  Rule rule;
  rule.name = "web";
  rule.listen = {.host = "127.0.0.1", .port = 8000, .port_count = 10};
  rule.targets = {{.place = target}};
  return rule;
}

SessionRecord session_to(const Place& target) {
  SessionRecord session;
  session.number = 7;
  session.rule = std::make_shared<LiveRule>(rule_to(target), policy::AccessList{},
                                            std::make_shared<RuleCounters>(), 3);
  session.client = {wire::parse_ip("192.0.2.9").value(), wire::Port{50'000}};
  session.listen_port = 8002;
  session.target = {.target = 0, .port_offset = 2};
  session.bytes = {.to_target = 10, .to_client = 20};
  return session;
}

TEST(SessionFlow, HasTheOnePortOfARange) {
  const SessionRecord session = session_to({.host = "10.0.0.2", .port = 9000, .port_count = 10});
  const SessionFlow flow(session, SessionFlow::As::kLive);
  const telemetry::FlowRecord& record = flow.record();
  EXPECT_EQ(record.forwarded->listen, "tcp://127.0.0.1:8002");
  EXPECT_EQ(record.forwarded->target, "tcp://10.0.0.2:9002");
  EXPECT_EQ(wire::to_string(record.guest), "10.0.0.2:9002");
  EXPECT_EQ(wire::to_string(record.peer), "192.0.2.9:50000");
  EXPECT_EQ(record.rule, "web");
  EXPECT_EQ(record.generation, 3U);
  EXPECT_EQ(record.bytes_to_guest, 10U);
  EXPECT_EQ(record.bytes_to_host, 20U);
  EXPECT_TRUE(record.name.empty());
  EXPECT_FALSE(record.opening);
}

TEST(SessionFlow, KnowsATargetByItsName) {
  const SessionRecord session = session_to({.host = "db.example", .port = 5432});
  const SessionFlow flow(session, SessionFlow::As::kEvent);
  EXPECT_EQ(flow.record().name, "db.example");
  EXPECT_EQ(flow.record().name_source, "config");
  EXPECT_TRUE(flow.record().guest.address.is_unspecified());
  EXPECT_TRUE(flow.record().opening);
}

TEST(SessionFlow, OfASocketInTheFileSystemHasNoAddress) {
  const SessionRecord session = session_to({.path = "/run/x.sock"});
  const SessionFlow flow(session, SessionFlow::As::kLive);
  EXPECT_EQ(flow.record().forwarded->target, "unix:/run/x.sock");
  EXPECT_EQ(flow.record().guest.port.value, 0U);
  EXPECT_TRUE(flow.record().name.empty());
}

TEST(SessionFlow, WhoWasRefusedHasNoTarget) {
  SessionRecord session = session_to({.host = "10.0.0.2", .port = 80});
  session.target.reset();
  session.result = SessionResult::kDenied;
  const SessionFlow flow(session, SessionFlow::As::kEvent);
  EXPECT_TRUE(flow.record().forwarded->target.empty());
  EXPECT_EQ(flow.record().verdict, Verdict::kDeniedByPolicy);
  EXPECT_FALSE(flow.record().told);
}

TEST(SessionFlow, EndsByTheirReasons) {
  const auto ends = [](SessionResult result, int error = 0, bool udp = false) {
    const SessionEnd end = end_of(result, error, udp);
    return std::pair(end.verdict, end.outcome);
  };
  EXPECT_EQ(ends(SessionResult::kConnectFailed, ECONNREFUSED),
            std::pair(Verdict::kAccepted, Outcome::kRefused));
  EXPECT_EQ(ends(SessionResult::kConnectFailed, ETIMEDOUT),
            std::pair(Verdict::kAccepted, Outcome::kTimedOut));
  EXPECT_EQ(ends(SessionResult::kConnectFailed, EMFILE),
            std::pair(Verdict::kNoDescriptors, Outcome::kNotAccepted));
  EXPECT_EQ(ends(SessionResult::kConnectFailed),
            std::pair(Verdict::kAccepted, Outcome::kUnreachable));
  EXPECT_EQ(ends(SessionResult::kIdle), std::pair(Verdict::kAccepted, Outcome::kTimedOut));
  EXPECT_EQ(ends(SessionResult::kIdle, 0, true), std::pair(Verdict::kAccepted, Outcome::kClosed));
  EXPECT_EQ(ends(SessionResult::kKilled), std::pair(Verdict::kKilled, Outcome::kCutOff));
  EXPECT_EQ(ends(SessionResult::kTargetReset),
            std::pair(Verdict::kAccepted, Outcome::kResetByGuest));
}

}  // namespace
}  // namespace sluice::forward
