#include "flow/gate/first_bytes.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "unit/flow/gate/claims.h"
#include "unit/wire/first_bytes/client_hellos.h"

namespace sluice::flow::test {
namespace {

using Kind = GateFinding::Kind;

class FirstBytesTest : public testing::Test {
 protected:
  GateFinding judge_all(ByteView bytes, bool finished = false) {
    return judge_first_bytes({bytes, finished}, {.key = key, .judge = judge, .now = {}});
  }
  GateFinding judge_text(std::string_view text, bool finished = false) {
    return judge_all({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, finished);
  }
  [[nodiscard]] const Claim& claim() const { return judge.claims.back(); }

  FlowKey key;
  OneNameAllowed judge;
};

TEST_F(FirstBytesTest, AHelloNamesItsServer) {
  EXPECT_EQ(judge_all(wire::test::kOpensslHello).kind, Kind::kPass);
  EXPECT_EQ(claim().kind, Claim::Kind::kTls);
  const GateFinding other = judge_all(wire::test::kGnutlsHello);
  EXPECT_EQ(other.kind, Kind::kRefused);
  EXPECT_EQ(other.refusal.verdict, policy::Verdict::kServerNameMismatch);
  EXPECT_EQ(other.refusal.answer.size(), 7U);
}

TEST_F(FirstBytesTest, ThatAHelloMayBeEncryptedIsTold) {
  const auto hello = wire::test::in_records(wire::test::hello_message(
      {wire::test::encrypted_hello(), wire::test::server_name("ok.test")}));
  EXPECT_EQ(judge_all(hello).kind, Kind::kPass);
  EXPECT_TRUE(claim().encrypted_hello);
}

TEST_F(FirstBytesTest, AHelloThatIsNoneIsRefusedWithoutAQuestion) {
  const auto two = wire::test::in_records(wire::test::hello_message(
      {wire::test::server_name("ok.test"), wire::test::server_name("evil.test")}));
  EXPECT_EQ(judge_all(two).refusal.verdict, policy::Verdict::kNoServerName);
  // It ends half way.
  EXPECT_EQ(judge_all(ByteView(wire::test::kOpensslHello).first(50)).kind, Kind::kNeedMore);
  EXPECT_EQ(judge_all(ByteView(wire::test::kOpensslHello).first(50), true).kind, Kind::kRefused);
  EXPECT_TRUE(judge.claims.empty());
}

TEST_F(FirstBytesTest, ARequestIsWatchedFromThereOn) {
  const GateFinding finding = judge_text("GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n");
  EXPECT_EQ(finding.kind, Kind::kPass);
  EXPECT_TRUE(finding.watch);
  judge.every_request = false;
  EXPECT_FALSE(judge_text("GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n").watch);
}

TEST_F(FirstBytesTest, ARequestMayBeginABody) {
  EXPECT_EQ(judge_text("POST / HTTP/1.1\r\nHost: ok.test\r\nContent-Length: 9\r\n\r\nabc").kind,
            Kind::kPass);
}

TEST_F(FirstBytesTest, RequestsThatCameTogetherGoTogether) {
  const std::string ok = "GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n";
  EXPECT_EQ(judge_text(ok + "GET /").kind, Kind::kNeedMore);
  EXPECT_EQ(judge_text(ok + ok).kind, Kind::kPass);
  EXPECT_EQ(judge_text(ok + "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n").kind, Kind::kRefused);
  EXPECT_EQ(judge_text(ok + "GET /", true).kind, Kind::kRefused);
}

TEST_F(FirstBytesTest, WebSocketIsNotSpokenBeforeTheServerAgrees) {
  const std::string upgrade =
      "GET / HTTP/1.1\r\nHost: ok.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
  EXPECT_EQ(judge_text(upgrade).kind, Kind::kPass);
  EXPECT_EQ(judge_text(upgrade + "\x81").kind, Kind::kRefused);
}

TEST_F(FirstBytesTest, AllElseIsOpaque) {
  EXPECT_EQ(judge_text("SSH-2.0-OpenSSH_9.2p1\r\n").kind, Kind::kPass);
  EXPECT_EQ(claim().kind, Claim::Kind::kOpaque);
  judge.opaque = policy::Verdict::kNotTls;
  const GateFinding finding = judge_text("SSH-2.0-OpenSSH_9.2p1\r\n");
  EXPECT_EQ(finding.refusal.verdict, policy::Verdict::kNotTls);
  EXPECT_TRUE(finding.refusal.answer.empty());
}

TEST_F(FirstBytesTest, AWordMayBecomeARequest) {
  EXPECT_EQ(judge_text("ruok").kind, Kind::kNeedMore);
  EXPECT_EQ(judge_text("ruok", true).kind, Kind::kPass);
  EXPECT_EQ(judge_text("ruok\n").kind, Kind::kPass);
}

TEST_F(FirstBytesTest, NothingIsNothingToRefuse) {
  EXPECT_EQ(judge_all({}).kind, Kind::kNeedMore);
  EXPECT_EQ(judge_all({}, true).kind, Kind::kPass);
  EXPECT_TRUE(judge.claims.empty());
}

}  // namespace
}  // namespace sluice::flow::test
