// The metrics' port with real clients, in one thread.
#include "serve/metrics/metrics_server.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>

#include "sys/sockaddr.h"
#include "unit/serve/answers/peer.h"

namespace sluice::serve {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kRequest = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

class MetricsServerTest : public testing::Test, protected MetricsSource {
 protected:
  MetricsServerTest() {
    auto opened =
        MetricsServer::open(sys::real_kernel(), {wire::IpAddress::v4(0x7f00'0001), wire::Port{0}});
    EXPECT_TRUE(opened.has_value());
    server_ = std::move(*opened);
    server_->serve(*this);
  }
  void append(fmt::memory_buffer& out) override {
    fmt::format_to(std::back_inserter(out), "gathered {}\n", ++gathered);
  }

  Peer& connect() { return peers_.emplace_back(sys::to_sockaddr(server_->endpoint())); }
  void settle() {
    for (int i = 0; i < 20; ++i) server_->turn(now);
    for (Peer& peer : peers_) peer.read();
  }

  Instant now{1000s};
  int gathered = 0;
  std::unique_ptr<MetricsServer> server_;
  std::deque<Peer> peers_;
};

TEST_F(MetricsServerTest, WhoAsksIsAnsweredOnce) {
  Peer& peer = connect();
  peer.send(kRequest);
  settle();
  EXPECT_NE(peer.answer.find("HTTP/1.1 200 OK\r\n"), std::string::npos) << peer.answer;
  EXPECT_NE(peer.answer.find("text/plain; version=0.0.4"), std::string::npos);
  EXPECT_TRUE(peer.answer.ends_with("\r\n\r\ngathered 1\n")) << peer.answer;
  EXPECT_TRUE(peer.ended);
  EXPECT_EQ(server_->next_wakeup(), kNever);
}

TEST_F(MetricsServerTest, ManyWhoAskAtOnceGetTheSame) {
  // More than are served at once; not more than the kernel lets wait besides.
  for (int i = 0; i < 20; ++i) {
    connect().send(kRequest);
    server_->turn(now);
  }
  settle();
  settle();
  for (const Peer& peer : peers_) EXPECT_TRUE(peer.answer.ends_with("gathered 1\n"));
  connect();
  now += MetricsServer::kFresh;
  peers_.back().send(kRequest);
  settle();
  EXPECT_TRUE(peers_.back().answer.ends_with("gathered 2\n"));
}

TEST_F(MetricsServerTest, GarbageIsToldAndLeavesNothing) {
  connect().send(std::string("\x16\x03\x01\x00\x05hello", 10));
  connect().send("POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  connect().send("GET /metrics HTTP/1.1\r\nHost: evil.test\r\n\r\n");
  connect().send("GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  settle();
  EXPECT_NE(peers_[0].answer.find("HTTP/1.1 400 "), std::string::npos);
  EXPECT_NE(peers_[1].answer.find("HTTP/1.1 405 "), std::string::npos);
  EXPECT_NE(peers_[1].answer.find("Allow: GET, HEAD\r\n"), std::string::npos);
  EXPECT_NE(peers_[2].answer.find("HTTP/1.1 403 "), std::string::npos);
  EXPECT_NE(peers_[3].answer.find("HTTP/1.1 404 "), std::string::npos);
  EXPECT_EQ(gathered, 0);
  EXPECT_EQ(server_->next_wakeup(), kNever);
}

TEST_F(MetricsServerTest, HalfARequestIsNotAnswered) {
  Peer& peer = connect();
  peer.send(kRequest.substr(0, 20));
  peer.end();
  settle();
  EXPECT_EQ(peer.answer, "");
  EXPECT_TRUE(peer.ended);
}

TEST_F(MetricsServerTest, SaysWhereItWaits) {
  const wire::Port port = server_->endpoint().port;
  EXPECT_TRUE(server_->waits_at(server_->endpoint()));
  EXPECT_FALSE(server_->waits_at({wire::IpAddress::v4(0x7f00'0002), port}));
  const auto everywhere =
      MetricsServer::open(sys::real_kernel(), {wire::IpAddress(), wire::Port{0}});
  ASSERT_TRUE(everywhere.has_value());
  EXPECT_TRUE((*everywhere)->waits_at({wire::IpAddress::v4(0), (*everywhere)->endpoint().port}));
  EXPECT_FALSE((*everywhere)->waits_at({wire::IpAddress::v4(0), port}));
}

TEST_F(MetricsServerTest, APortThatIsTakenIsAnError) {
  EXPECT_FALSE(MetricsServer::open(sys::real_kernel(), server_->endpoint()).has_value());
}

}  // namespace
}  // namespace sluice::serve
