#include "flow/gate/watched.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "unit/flow/gate/claims.h"

namespace sluice::flow::test {
namespace {

class WatchedTest : public testing::Test {
 protected:
  // A burst of these pieces.
  Watched::Sifted sift(const std::vector<std::string>& pieces) {
    burst = pieces;
    sink.clear_actions();
    parting.clear();
    std::uint32_t first = kNoRange;
    for (const std::string& piece : burst) {
      const std::uint32_t range = sink.next_range();
      if (first == kNoRange) {
        first = range;
      } else {
        sink.link_range(range - 1, range);
      }
      sink.add_range({reinterpret_cast<const std::uint8_t*>(piece.data()), piece.size()});
    }
    return watched.sift(first, {.key = key, .judge = judge, .now = {}}, sink, parting);
  }
  std::string sifted(const std::vector<std::string>& pieces) {
    const Watched::Sifted result = sift(pieces);
    EXPECT_FALSE(result.refusal);
    std::string text;
    for (std::uint32_t at = result.first_range; at != kNoRange; at = sink.range(at).next) {
      const ByteView bytes = sink.range(at).bytes;
      text.append(bytes.begin(), bytes.end());
    }
    EXPECT_EQ(text.size(), result.bytes);
    return text;
  }

  const std::string ok = "GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n";
  const std::string post =
      "POST / HTTP/1.1\r\nHost: ok.test\r\nTransfer-Encoding: "
      "chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n";
  const std::string upgrade =
      "GET / HTTP/1.1\r\nHost: ok.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  FlowKey key;
  OneNameAllowed judge;
  Watched watched{HttpWatch()};
  ActionSink sink;
  std::vector<std::vector<std::uint8_t>> parting;
  std::vector<std::string> burst;
};

TEST_F(WatchedTest, TheStreamIsTheSameHoweverItIsCut) {
  const std::string stream = ok + post + ok + post;
  for (std::size_t each = 1; each <= stream.size(); ++each) {
    watched = Watched(HttpWatch());
    std::string all;
    for (std::size_t at = 0; at < stream.size(); at += 2 * each) {
      std::vector<std::string> pieces{stream.substr(at, each)};
      if (at + each < stream.size()) pieces.push_back(stream.substr(at + each, each));
      all += sifted(pieces);
    }
    ASSERT_EQ(all, stream) << each;
    ASSERT_EQ(watched.held(), 0U);
  }
}

TEST_F(WatchedTest, AHeadIsHeldAndGoesFirst) {
  EXPECT_EQ(sifted({ok, ok.substr(0, 5)}), ok);
  EXPECT_EQ(watched.held(), 5U);
  EXPECT_EQ(sifted({ok.substr(5, 5)}), "");
  EXPECT_EQ(watched.held(), 10U);
  EXPECT_EQ(sifted({ok.substr(10) + ok}), ok + ok);
}

TEST_F(WatchedTest, WhatIsHeldIsBounded) {
  EXPECT_EQ(sifted({"GET / HTTP/1.1\r\nX: " + std::string(10'000, 'x')}), "");
  EXPECT_TRUE(sift({std::string(10'000, 'x')}).refusal);
  watched = Watched(HttpWatch());
  EXPECT_EQ(sifted({upgrade}), upgrade);
  EXPECT_EQ(sifted({std::string(Watched::kHeldMax, 'x')}), "");
  const auto full = sift({"x"});
  ASSERT_TRUE(full.refusal);
  EXPECT_EQ(full.refusal->verdict, policy::Verdict::kFirstBytesFull);
}

TEST_F(WatchedTest, TheServersAnswerDecidesWhatIsHeld) {
  EXPECT_EQ(sifted({upgrade}), upgrade);
  EXPECT_EQ(sifted({"frame"}), "");
  constexpr std::string_view kAgreed = "HTTP/1.1 101 Switching";
  EXPECT_TRUE(
      watched.hear({reinterpret_cast<const std::uint8_t*>(kAgreed.data()), kAgreed.size()}));
  EXPECT_FALSE(watched.is_over());
  EXPECT_EQ(sifted({}), "frame");
  EXPECT_TRUE(watched.is_over());
}

TEST_F(WatchedTest, WithoutTheServersConsentTheyAreRequests) {
  EXPECT_EQ(sifted({upgrade}), upgrade);
  EXPECT_EQ(sifted({ok + ok.substr(0, 7)}), "");
  constexpr std::string_view kOther = "HTTP/1.1 200 OK";
  EXPECT_TRUE(watched.hear({reinterpret_cast<const std::uint8_t*>(kOther.data()), kOther.size()}));
  EXPECT_EQ(sifted({}), ok);
  EXPECT_EQ(watched.held(), 7U);
  EXPECT_EQ(sifted({ok.substr(7)}), ok);
}

}  // namespace
}  // namespace sluice::flow::test
