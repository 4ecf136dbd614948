#include "wire/first_bytes/http_requests.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::wire {
namespace {

using Step = HttpRequests::Step;

ByteView bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// What a server would get, and of whom it was asked.
struct Passed {
  std::string bytes;
  std::vector<std::string> hosts;
  HttpFault fault = HttpFault::kNone;
  std::size_t waiting = 0;
};

// Gives the stream in pieces of `each` bytes, as a relay does that keeps what needs more.
Passed run(HttpRequests& requests, const std::string& stream, std::size_t each) {
  Passed passed;
  std::string kept;
  std::size_t seen = 0;
  for (std::size_t at = 0; at < stream.size(); at += each) {
    kept += stream.substr(at, each);
    while (!kept.empty()) {
      const auto next = requests.next(bytes_of(kept), seen);
      if (next.step == Step::kFault) {
        passed.fault = next.head.fault;
        passed.waiting = kept.size();
        return passed;
      }
      if (next.step == Step::kNeedMore) break;
      if (next.step == Step::kHead)
        passed.hosts.push_back(next.head.host ? next.head.host->to_text() : "");
      EXPECT_GT(next.size, 0U);
      passed.bytes += kept.substr(0, next.size);
      kept.erase(0, next.size);
      seen = 0;
    }
    seen = kept.size();
  }
  passed.waiting = kept.size();
  return passed;
}
Passed run(const std::string& stream, std::size_t each = 1U << 20U) {
  HttpRequests requests;
  return run(requests, stream, each);
}

const std::string kGet = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const std::string kOther = "GET / HTTP/1.1\r\nHost: b.test\r\n\r\n";
const std::string kPost =
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 42\r\n\r\n" + std::string(42, '\n');
const std::string kChunked =
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5\r\nGET /\r\nA;x=\"y\"\r\n0123\r\n\r\n78\r\n0\r\nTrailer: x\r\n\r\n";
const std::string kUpgrade =
    "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

TEST(HttpRequests, EveryRequestOfAConnectionIsFound) {
  const std::string stream = kGet + kPost + kOther + kChunked + kGet + "\r\n" + kOther;
  for (const std::size_t each : {1U, 2U, 3U, 7U, 64U, 1000U}) {
    const Passed passed = run(stream, each);
    EXPECT_EQ(passed.fault, HttpFault::kNone) << each;
    EXPECT_EQ(passed.bytes, stream) << each;
    EXPECT_EQ(passed.waiting, 0U);
    EXPECT_EQ(passed.hosts, (std::vector<std::string>{"a.test", "a.test", "b.test", "a.test",
                                                      "a.test", "b.test"}))
        << each;
  }
}

TEST(HttpRequests, ABodyIsNoRequestWhateverItSays) {
  const std::string stream =
      "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: " + std::to_string(kOther.size()) +
      "\r\n\r\n" + kOther;
  EXPECT_EQ(run(stream).hosts.size(), 1U);
}

TEST(HttpRequests, AHeadIsHeldUntilItIsWhole) {
  for (std::size_t size = 1; size < kGet.size(); ++size) {
    const Passed passed = run(kGet.substr(0, size));
    EXPECT_EQ(passed.bytes, "");
    EXPECT_EQ(passed.waiting, size);
    EXPECT_EQ(passed.fault, HttpFault::kNone);
  }
}

TEST(HttpRequests, AHeadIsBounded) {
  const std::string large = "GET / HTTP/1.1\r\nHost: a.test\r\nX: ";
  const std::size_t room = kHttpHeadSizeMax - large.size() - 4;
  EXPECT_EQ(run(large + std::string(room, 'x') + "\r\n\r\n").fault, HttpFault::kNone);
  EXPECT_EQ(run(large + std::string(room + 1, 'x') + "\r\n\r\n").fault, HttpFault::kTooLong);
  EXPECT_EQ(run(large + std::string(room + 1, 'x') + "\r\n\r\n", 100).fault, HttpFault::kTooLong);
}

TEST(HttpRequests, ALineThatNeverEndsIsNotWaitedFor) {
  EXPECT_EQ(run("GET / HTTP/1.1\nHost: a.test\n\n").fault, HttpFault::kSyntax);
  EXPECT_EQ(run("\n").fault, HttpFault::kSyntax);
}

TEST(HttpRequests, ChunksAreAsTheRfcHasThem) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* body :
       {"x\r\n", "\r\n", "5\nabcde\r\n", "5\r\nabcdeX\n", "5\r\nabcde\n", "-5\r\n", " 5\r\n",
        "5 \r\n", "0x5\r\n", "1234567890abcdef\r\n", "5;a\nb\r\n", "0\r\n folded\r\n\r\n",
        "0\r\nA: b\n\r\n", "0\r\n\r\r", ";x\r\n"}) {
    for (const std::size_t each : {1U, 1000U}) {
      EXPECT_EQ(run(head + body, each).fault, HttpFault::kFraming) << body;
    }
  }
  EXPECT_EQ(run(head + "5;" + std::string(300, 'x'), 10).fault, HttpFault::kFraming);
  EXPECT_EQ(run(head + "0\r\n" + std::string(5000, 'x'), 10).fault, HttpFault::kFraming);
}

TEST(HttpRequests, NothingIsPassedBehindAFault) {
  const Passed passed = run(kGet + "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(passed.bytes, kGet);
  EXPECT_EQ(passed.fault, HttpFault::kHost);
}

TEST(HttpRequests, AWebSocketIsOpaqueOnceTheServerAgrees) {
  HttpRequests requests;
  EXPECT_EQ(run(requests, kUpgrade + "frames", 1000).waiting, 6U);
  EXPECT_TRUE(requests.listens());
  EXPECT_FALSE(requests.hear(bytes_of("HTTP/1.1 1")));
  EXPECT_TRUE(requests.hear(bytes_of("01 Switching Protocols\r\n")));
  EXPECT_TRUE(requests.is_opaque());
  EXPECT_EQ(run(requests, "frames\n\n", 3).bytes, "frames\n\n");
}

TEST(HttpRequests, AnUpgradeThatTheServerIgnoresIsARequest) {
  HttpRequests requests;
  (void)run(requests, kUpgrade, 1000);
  EXPECT_TRUE(requests.hear(bytes_of("HTTP/1.1 200 OK\r\n")));
  EXPECT_FALSE(requests.is_opaque());
  EXPECT_EQ(run(requests, kOther, 1000).hosts, std::vector<std::string>{"b.test"});
}

TEST(HttpRequests, OnlyTheFirstRequestMayUpgrade) {
  HttpRequests requests;
  (void)run(requests, kGet + kUpgrade, 1000);
  EXPECT_FALSE(requests.listens());
  EXPECT_FALSE(requests.hear(bytes_of("HTTP/1.1 101 x")));
  EXPECT_FALSE(requests.is_opaque());
}

TEST(HttpRequests, AServerThatSpokeFirstAgreesToNothing) {
  HttpRequests requests;
  EXPECT_FALSE(requests.hear(bytes_of("HTTP/1.1 101 x")));
  (void)run(requests, kUpgrade, 1000);
  EXPECT_FALSE(requests.listens());
}

}  // namespace
}  // namespace sluice::wire
