// A server of one answer a client, with real sockets in one thread.
#include "serve/answers/answer_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <deque>
#include <string>

#include "sys/socket_options.h"
#include "unit/serve/answers/peer.h"

namespace sluice::serve {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kRequestMax = 100;

// A request is a line. What has ended without one is told so, if it begins with a question mark.
class AnswerServerTest : public testing::Test, protected Answerer {
 protected:
  AnswerServerTest() : server_(opened()) {}

  static AnswerServer opened() {
    auto socket = sys::open_socket(sys::real_kernel(), AF_INET, SOCK_STREAM, 0);
    EXPECT_TRUE(
        sys::bind_to(*socket, {wire::IpAddress::v4(0x7f00'0001), wire::Port{0}}).has_value());
    return std::move(*AnswerServer::listen(std::move(*socket), kRequestMax));
  }
  std::optional<std::string> answer(const Said& said, Instant /*now*/) override {
    asked = said.bytes;
    if (said.bytes.size() >= kRequestMax) return "too long";
    if (said.bytes.ends_with('\n')) return "yes" + filler;
    return said.ended && said.bytes.starts_with('?') ? std::optional("half") : std::nullopt;
  }

  Peer& connect() {
    return peers_.emplace_back(sys::to_sockaddr(*sys::local_endpoint_of(server_.listener())));
  }
  void settle() {
    for (int i = 0; i < 20; ++i) server_.turn(now, *this);
    for (Peer& peer : peers_) peer.read();
  }
  void pass(Duration time) {
    now += time;
    settle();
  }

  Instant now{1000s};
  std::string asked;
  std::string filler;
  AnswerServer server_;
  std::deque<Peer> peers_;
};

TEST_F(AnswerServerTest, ARequestIsAnsweredOnceItIsWhole) {
  Peer& peer = connect();
  peer.send("he");
  settle();
  EXPECT_EQ(peer.answer, "");
  peer.send("llo\n");
  settle();
  EXPECT_EQ(asked, "hello\n");
  EXPECT_EQ(peer.answer, "yes");
  EXPECT_TRUE(peer.ended);
  EXPECT_EQ(server_.next_wakeup(), kNever);
}

TEST_F(AnswerServerTest, WhatHasEndedIsAllOfIt) {
  for (const char* const said : {"?half", "half", "?half", "half"}) connect().send(said);
  peers_[0].end();
  peers_[1].end();
  settle();
  EXPECT_EQ(peers_[0].answer, "half");
  EXPECT_EQ(peers_[1].answer, "");
  EXPECT_TRUE(peers_[0].ended && peers_[1].ended);
  EXPECT_FALSE(peers_[2].ended || peers_[3].ended);
  EXPECT_EQ(server_.next_wakeup(), now + AnswerServer::kPatience);
  // As it is for whoever has said so much in his time.
  pass(AnswerServer::kPatience);
  EXPECT_EQ(peers_[2].answer, "half");
  EXPECT_EQ(peers_[3].answer, "");
  EXPECT_TRUE(peers_[2].ended && peers_[3].ended);
}

TEST_F(AnswerServerTest, WhoSaysNothingIsGivenUp) {
  Peer& silent = connect();
  settle();
  EXPECT_EQ(server_.next_wakeup(), now + AnswerServer::kPatience);
  pass(AnswerServer::kPatience);
  EXPECT_TRUE(silent.ended);
  EXPECT_EQ(asked, "");
  EXPECT_EQ(server_.next_wakeup(), kNever);
}

TEST_F(AnswerServerTest, WhoDoesNotReadIsGivenUp) {
  filler.assign(64U << 20U, 'x');
  Peer& slow = connect();
  slow.send("hello\n");
  for (int i = 0; i < 20; ++i) server_.turn(now, *this);
  EXPECT_EQ(server_.next_wakeup(), now + AnswerServer::kPatience);
  now += AnswerServer::kPatience;
  for (int i = 0; i < 20; ++i) server_.turn(now, *this);
  EXPECT_EQ(server_.next_wakeup(), kNever);
  slow.read();
  EXPECT_LT(slow.answer.size(), filler.size());
}

TEST_F(AnswerServerTest, SilentClientsDoNotKeepAllPlaces) {
  for (std::size_t i = 0; i < AnswerServer::kClientsMax; ++i) connect();
  settle();
  Peer& late = connect();
  late.send("hello\n");
  settle();
  EXPECT_TRUE(late.answer.empty());
  EXPECT_LE(server_.next_wakeup(), now + 50ms);
  pass(1s);
  EXPECT_EQ(late.answer, "yes");
  EXPECT_TRUE(peers_.front().ended);
}

TEST_F(AnswerServerTest, NoMoreIsReadThanARequestHas) {
  connect().send(std::string(100'000, 'x'));
  settle();
  EXPECT_EQ(asked, std::string(kRequestMax, 'x'));
  EXPECT_EQ(peers_[0].answer, "too long");
  EXPECT_TRUE(peers_[0].ended);
}

}  // namespace
}  // namespace sluice::serve
