// slirp4netns' API socket with real clients, in one thread.
#include "serve/slirp_api/slirp_api_server.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <deque>
#include <filesystem>
#include <string>

#include "sys/unix_socket.h"
#include "unit/serve/answers/peer.h"

namespace sluice::serve {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kList = R"({"execute":"list_hostfwd"})";
constexpr std::string_view kNone = R"({"entries":[]})";
constexpr std::string_view kNoJson = R"({"error":{"desc":"bad request: cannot parse JSON"}})";

class NoPorts final : public PortSet {
 public:
  std::expected<policy::PortMap, Refusal> publish(const policy::PortMap& map) override {
    return map;
  }
  bool unpublish(const policy::PortMap&) override { return true; }
  [[nodiscard]] bool has(const policy::PortMap&) const override { return true; }
  [[nodiscard]] bool waits_at(policy::Protocol, const wire::Endpoint&) const override {
    return false;
  }
};

class SlirpApiServerTest : public testing::Test {
 protected:
  SlirpApiServerTest() {
    char pattern[] = "/tmp/sluice-api-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    path_ = folder_ + "/api.sock";
    server_ = std::move(*SlirpApiServer::open(sys::real_kernel(), path_));
    server_->serve(forwards_);
  }
  ~SlirpApiServerTest() override { std::filesystem::remove_all(folder_); }

  Peer& connect() { return peers_.emplace_back(*sys::unix_sockaddr(path_)); }
  void settle() {
    for (int i = 0; i < 20; ++i) server_->turn(now);
    for (Peer& peer : peers_) peer.read();
  }
  void pass(Duration time) {
    now += time;
    settle();
  }

  Instant now{1000s};
  std::string folder_;
  std::string path_;
  NoPorts ports_;
  flow::GuestNetwork network_;
  HostForwards forwards_{ports_, network_};
  std::unique_ptr<SlirpApiServer> server_;
  std::deque<Peer> peers_;
};

TEST_F(SlirpApiServerTest, ItsFileIsItsOwners) {
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  const auto second = SlirpApiServer::open(sys::real_kernel(), path_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().error, EADDRINUSE);
}

TEST_F(SlirpApiServerTest, ARequestIsAnsweredOnceItIsWhole) {
  Peer& peer = connect();
  peer.send(kList.substr(0, 9));
  settle();
  EXPECT_EQ(peer.answer, "");
  // slirp4netns reads but once, and calls this no JSON.
  peer.send(kList.substr(9));
  settle();
  EXPECT_EQ(peer.answer, kNone);
  EXPECT_TRUE(peer.ended);
  EXPECT_EQ(server_->next_wakeup(), kNever);
}

TEST_F(SlirpApiServerTest, WhoEndsHalfwayIsTold) {
  connect().send("{");
  peers_.back().end();
  connect().end();
  settle();
  EXPECT_EQ(peers_[0].answer, kNoJson);
  EXPECT_EQ(peers_[1].answer, kNoJson);
  EXPECT_TRUE(peers_[0].ended && peers_[1].ended);
}

// While slirp4netns waits for such a client it serves nobody.
TEST_F(SlirpApiServerTest, NobodyWaitsForWhoSaysNothing) {
  connect();
  connect().send("{");
  settle();
  connect().send(kList);
  settle();
  EXPECT_EQ(peers_[2].answer, kNone);
  EXPECT_EQ(server_->next_wakeup(), now + AnswerServer::kPatience);
  pass(AnswerServer::kPatience);
  EXPECT_EQ(peers_[0].answer, "");
  EXPECT_EQ(peers_[1].answer, kNoJson);
  EXPECT_TRUE(peers_[0].ended && peers_[1].ended);
  EXPECT_EQ(server_->next_wakeup(), kNever);
}

TEST_F(SlirpApiServerTest, WhatIsTooLongIsAnsweredWithoutItsEnd) {
  connect().send(std::string(100'000, '['));
  settle();
  EXPECT_EQ(peers_[0].answer, R"({"error":{"desc":"bad request: too large message"}})");
  EXPECT_TRUE(peers_[0].ended);
}

TEST_F(SlirpApiServerTest, ManyAreServedOneAfterAnother) {
  for (int i = 0; i < 100; ++i) {
    connect().send(R"({"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,)"
                   R"("guest_port":2}})");
    settle();
    EXPECT_EQ(peers_.back().answer, "{\"return\":{\"id\":" + std::to_string(i + 1) + "}}");
  }
}

}  // namespace
}  // namespace sluice::serve
