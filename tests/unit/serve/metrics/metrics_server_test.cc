// The metrics' port with real clients, in one thread.
#include "serve/metrics/metrics_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <deque>
#include <string>

#include "base/unique_fd.h"
#include "sys/sockaddr.h"

namespace sluice::serve {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kRequest = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

class Peer {
 public:
  explicit Peer(const wire::Endpoint& to) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const auto address = sys::to_sockaddr(to);
    EXPECT_EQ(::connect(socket_.get(), address.get(), address.length), 0);
    EXPECT_EQ(::fcntl(socket_.get(), F_SETFL, O_NONBLOCK), 0);
  }
  void send(std::string_view text) {
    (void)::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }
  void read() {
    char bytes[65'536];
    ssize_t got = 0;
    while ((got = ::recv(socket_.get(), bytes, sizeof bytes, 0)) > 0) {
      answer.append(bytes, static_cast<std::size_t>(got));
    }
    if (got == 0 || errno == ECONNRESET) ended = true;
  }

  std::string answer;
  bool ended = false;

 private:
  UniqueFd socket_;
};

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
    fmt::format_to(std::back_inserter(out), "gathered {}\n{}", ++gathered, filler);
  }

  Peer& connect() { return peers_.emplace_back(server_->endpoint()); }
  void settle() {
    for (int i = 0; i < 20; ++i) server_->turn(now);
    for (Peer& peer : peers_) peer.read();
  }
  void pass(Duration time) {
    now += time;
    settle();
  }

  Instant now{1000s};
  int gathered = 0;
  std::string filler;
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

TEST_F(MetricsServerTest, WhoSaysNothingIsGivenUp) {
  Peer& silent = connect();
  settle();
  EXPECT_EQ(server_->next_wakeup(), now + MetricsServer::kPatience);
  pass(MetricsServer::kPatience);
  EXPECT_TRUE(silent.ended);
  EXPECT_EQ(server_->next_wakeup(), kNever);
}

TEST_F(MetricsServerTest, WhoDoesNotReadIsGivenUp) {
  filler.assign(64U << 20U, 'x');
  Peer& slow = connect();
  slow.send(kRequest);
  for (int i = 0; i < 20; ++i) server_->turn(now);
  EXPECT_EQ(server_->next_wakeup(), now + MetricsServer::kPatience);
  now += MetricsServer::kPatience;
  for (int i = 0; i < 20; ++i) server_->turn(now);
  EXPECT_EQ(server_->next_wakeup(), kNever);
  slow.read();
  EXPECT_LT(slow.answer.size(), filler.size());
}

TEST_F(MetricsServerTest, SilentClientsDoNotKeepAllPlaces) {
  for (std::size_t i = 0; i < MetricsServer::kClientsMax; ++i) connect();
  settle();
  Peer& late = connect();
  late.send(kRequest);
  settle();
  EXPECT_TRUE(late.answer.empty());
  EXPECT_LE(server_->next_wakeup(), now + 50ms);
  pass(1s);
  EXPECT_TRUE(late.answer.ends_with("gathered 1\n")) << late.answer;
  EXPECT_TRUE(peers_.front().ended);
}

TEST_F(MetricsServerTest, APortThatIsTakenIsAnError) {
  EXPECT_FALSE(MetricsServer::open(sys::real_kernel(), server_->endpoint()).has_value());
}

}  // namespace
}  // namespace sluice::serve
