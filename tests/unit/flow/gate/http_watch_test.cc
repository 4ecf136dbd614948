#include "flow/gate/http_watch.h"

#include <gtest/gtest.h>

#include <string>

#include "unit/flow/gate/claims.h"

namespace sluice::flow::test {
namespace {

class HttpWatchTest : public testing::Test {
 protected:
  HttpWatch::Course pass(const std::string& text, std::size_t seen = 0) {
    return watch.pass({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, seen,
                      {.key = key, .judge = judge, .now = {}});
  }

  const std::string ok = "GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n";
  const std::string evil = "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n";
  FlowKey key;
  OneNameAllowed judge;
  HttpWatch watch;
};

TEST_F(HttpWatchTest, EveryRequestIsJudged) {
  EXPECT_EQ(pass(ok + ok).passed, 2 * ok.size());
  EXPECT_EQ(judge.claims.size(), 2U);
  const auto course = pass(evil);
  ASSERT_TRUE(course.refusal);
  EXPECT_EQ(course.refusal->verdict, policy::Verdict::kHostMismatch);
}

TEST_F(HttpWatchTest, AHeadWaitsForItsEnd) {
  EXPECT_EQ(pass(ok + ok.substr(0, 10)).passed, ok.size());
  EXPECT_EQ(pass(ok.substr(0, 10)).passed, 0U);
  EXPECT_EQ(pass(ok, 10).passed, ok.size());
  EXPECT_EQ(judge.claims.size(), 2U);
}

TEST_F(HttpWatchTest, AFaultIsRefusedWithoutAQuestion) {
  EXPECT_TRUE(pass("GET / HTTP/1.1\r\n\r\n").refusal);
  EXPECT_TRUE(judge.claims.empty());
}

TEST_F(HttpWatchTest, APolicyMayAskForTheFirstRequestOnly) {
  judge.every_request = false;
  EXPECT_EQ(pass(ok + evil).passed, ok.size() + evil.size());
  EXPECT_TRUE(watch.is_over());
  EXPECT_EQ(pass("whatever\n").passed, 9U);
}

}  // namespace
}  // namespace sluice::flow::test
