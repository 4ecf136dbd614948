// The control socket with real clients, in one thread: the server turns whenever a client waits.
#include "control/control_server.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "control/run_address.h"
#include "sys/unix_socket.h"

namespace sluice::control {
namespace {

using namespace std::chrono_literals;

// Answers with what it was asked, `items` lines before the last.
class Echo final : public Controlled {
 public:
  void on_request(const Request& request, Answer& answer) override {
    requests.push_back(request);
    for (std::size_t i = 0; i < items; ++i) {
      answer.item([&](telemetry::JsonLine& line) { line.text("filler", std::string(200, 'x')); });
    }
    answer.done([&](telemetry::JsonLine& line) { line.text("what", request.what); });
  }
  void on_listeners(bool any) override { listeners.push_back(any); }
  void on_answerer(bool came) override { came ? ++answerers : --answerers; }

  std::vector<Request> requests;
  std::vector<bool> listeners;
  int answerers = 0;
  std::size_t items = 0;
};

class Peer {
 public:
  explicit Peer(const std::string& name) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    const auto address = sys::unix_sockaddr(name);
    EXPECT_EQ(::connect(socket_.get(), address->get(), address->length), 0);
    EXPECT_EQ(::fcntl(socket_.get(), F_SETFL, O_NONBLOCK), 0);
  }
  // How much of it went out.
  std::size_t send(std::string_view text) {
    const ssize_t sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }
  // Takes what is there.
  void read() {
    char bytes[65'536];
    ssize_t got = 0;
    while ((got = ::recv(socket_.get(), bytes, sizeof bytes, 0)) > 0) {
      input_.append(bytes, static_cast<std::size_t>(got));
    }
    if (got == 0 || errno == ECONNRESET) ended = true;
  }
  std::optional<std::string> line() {
    const std::size_t end = input_.find('\n');
    if (end == std::string::npos) return std::nullopt;
    std::string line = input_.substr(0, end);
    input_.erase(0, end + 1);
    return line;
  }
  void close() { socket_.reset(); }
  void stop_writing() { (void)::shutdown(socket_.get(), SHUT_WR); }

  bool ended = false;

 private:
  UniqueFd socket_;
  std::string input_;
};

class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() {
    auto opened = ControlServer::open(sys::real_kernel(), run_);
    EXPECT_TRUE(opened.has_value());
    server_ = std::move(*opened);
    server_->serve(echo, &events);
  }

  [[nodiscard]] std::string name() const { return socket_name(::getuid(), run_); }
  Peer& connect() {
    Peer& peer = peers_.emplace_back(name());
    turn();
    return peer;
  }
  [[nodiscard]] bool is_ready() const {
    pollfd ready{.fd = server_->fd(), .events = POLLIN, .revents = 0};
    return ::poll(&ready, 1, 0) == 1;
  }
  void turn() { server_->turn(now); }
  // Until it has nothing to do.
  void settle() {
    for (int i = 0; i < 1000 && (is_ready() || server_->next_wakeup(now) <= now); ++i) turn();
  }
  // The next line for this client.
  std::string answer(Peer& peer) {
    for (int i = 0; i < 1000; ++i) {
      if (auto line = peer.line()) return *line;
      turn();
      peer.read();
    }
    return "";
  }
  void pass(Duration time) {
    now += time;
    turn();
  }

  std::string run_ = fmt::format("t{}", ::getpid());
  Instant now{1000s};
  Echo echo;
  telemetry::EventStream events{run_};
  std::unique_ptr<ControlServer> server_;
  std::deque<Peer> peers_;
};

TEST_F(ControlServerTest, RequestsAreAnsweredInTheirOrder) {
  Peer& peer = connect();
  peer.send(
      "{\"id\":1,\"do\":\"allow\",\"rule\":\"a\"}\n{\"id\":2,\"do\":\"deny\",\"rule\":\"b\"}\n");
  EXPECT_EQ(answer(peer), R"({"v":1,"id":1,"ok":true,"what":"a"})");
  EXPECT_EQ(answer(peer), R"({"v":1,"id":2,"ok":true,"what":"b"})");
  EXPECT_FALSE(is_ready());
  EXPECT_EQ(server_->next_wakeup(now), kNever);
}

TEST_F(ControlServerTest, ARequestMayComeInPieces) {
  Peer& peer = connect();
  for (const char c : std::string_view("{\"do\":\"status\"}")) {
    peer.send(std::string_view(&c, 1));
    settle();
  }
  EXPECT_TRUE(echo.requests.empty());
  peer.send("\n");
  EXPECT_EQ(answer(peer), R"({"v":1,"id":0,"ok":true,"what":""})");
}

TEST_F(ControlServerTest, GarbageIsAnsweredAndNothingElse) {
  Peer& peer = connect();
  peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n\0\xff\n");
  EXPECT_NE(answer(peer).find("bad-request"), std::string::npos);
  peer.send("{\"do\":\"status\"}\n");
  settle();
  EXPECT_EQ(echo.requests.size(), 1u);
}

TEST_F(ControlServerTest, ALineWithoutEndIsCutOff) {
  Peer& peer = connect();
  const std::string piece(8192, 'x');
  std::size_t sent = 0;
  for (int i = 0; i < 1000 && !peer.ended; ++i) {
    sent += peer.send(piece);
    turn();
    peer.read();
  }
  EXPECT_TRUE(peer.ended);
  EXPECT_LT(sent, 1024 * 1024u);
  const std::string last = peer.line().value_or("");
  EXPECT_NE(last.find("line-too-long"), std::string::npos) << last;
  EXPECT_FALSE(peer.line().has_value());  // It is told once.
}

TEST_F(ControlServerTest, OneWhoDoesNotReadIsAskedForNoMoreAndThenCutOff) {
  echo.items = 100;
  Peer& lazy = connect();
  const std::string many = [] {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "{\"do\":\"status\"}\n";
    return text;
  }();
  for (int i = 0; i < 100; ++i) {
    lazy.send(many);
    settle();
  }
  // What the kernel's buffers took, and one answer more.
  EXPECT_LT(echo.requests.size(), 500u);
  const std::size_t carried_out = echo.requests.size();
  Peer& other = connect();
  other.send("{\"do\":\"status\"}\n");
  EXPECT_NE(answer(other), "");
  EXPECT_EQ(echo.requests.size(), carried_out + 1);
  EXPECT_LE(server_->next_wakeup(now), now + Client::kPatience);
  pass(Client::kPatience);
  settle();
  lazy.read();
  EXPECT_TRUE(lazy.ended);
}

TEST_F(ControlServerTest, OthersAreServedWhileOneAsksWithoutEnd) {
  Peer& greedy = connect();
  std::string many;
  for (int i = 0; i < 3000; ++i) many += "{\"do\":\"status\"}\n";
  greedy.send(many);
  Peer& other = connect();
  other.send("{\"id\":9,\"do\":\"status\"}\n");
  turn();
  EXPECT_LE(echo.requests.size(), 3 * ControlServer::kRequestsEach);
  for (int i = 0; i < 4 && !other.line(); ++i) {
    turn();
    other.read();
  }
  other.read();
  EXPECT_LE(echo.requests.size(), 10 * ControlServer::kRequestsEach);
  // What was left is carried out without another event.
  for (int i = 0; i < 1000 && echo.requests.size() < 3001; ++i) {
    turn();
    greedy.read();
  }
  EXPECT_EQ(echo.requests.size(), 3001u);
}

TEST_F(ControlServerTest, WhoSaysNoMoreStillGetsHisAnswers) {
  Peer& peer = connect();
  peer.send("{\"do\":\"status\"}\n{\"do\":\"status\"}\nhalf");
  peer.stop_writing();
  settle();
  peer.read();
  EXPECT_TRUE(peer.line().has_value());
  EXPECT_TRUE(peer.line().has_value());
  EXPECT_FALSE(peer.line().has_value());
  EXPECT_TRUE(peer.ended);
}

TEST_F(ControlServerTest, EightAreServedAndASilentOneLeavesItsPlace) {
  for (std::size_t i = 0; i < ControlServer::kClientsMax; ++i) {
    Peer& peer = connect();
    peer.send("{\"do\":\"status\"}\n");
    EXPECT_NE(answer(peer), "");
  }
  Peer& ninth = connect();
  settle();
  ninth.read();
  EXPECT_NE(ninth.line().value_or("").find("too-many-clients"), std::string::npos);
  EXPECT_TRUE(ninth.ended);
  pass(2s);
  peers_[0].send("{\"do\":\"status\"}\n");
  EXPECT_NE(answer(peers_[0]), "");
  Peer& tenth = connect();
  tenth.send("{\"do\":\"status\"}\n");
  EXPECT_NE(answer(tenth), "");
  peers_[0].read();
  EXPECT_FALSE(peers_[0].ended);  // It has just spoken.
}

TEST_F(ControlServerTest, ClientsThatGoLeaveTheirPlaces) {
  for (int i = 0; i < 100; ++i) {
    Peer& peer = connect();
    peer.send("{\"do\":\"status\"}\n");
    if (i % 2 == 0) {
      EXPECT_NE(answer(peer), "");
    }
    peer.close();
    settle();
  }
  EXPECT_FALSE(is_ready());
}

TEST_F(ControlServerTest, WhoSaysThatItAnswersIsThereUntilItGoes) {
  Peer& quiet = connect();
  quiet.send("{\"do\":\"subscribe\"}\n");
  (void)answer(quiet);
  EXPECT_EQ(echo.answerers, 0);
  Peer& peer = connect();
  peer.send("{\"do\":\"subscribe\",\"answers\":true}\n");
  (void)answer(peer);
  EXPECT_EQ(echo.answerers, 1);
  peer.close();
  settle();
  EXPECT_EQ(echo.answerers, 0);
}

TEST_F(ControlServerTest, SubscribersGetEvents) {
  Peer& peer = connect();
  peer.send("{\"do\":\"subscribe\"}\n");
  EXPECT_EQ(answer(peer), R"({"v":1,"id":0,"ok":true})");
  EXPECT_TRUE(server_->has_subscribers());
  EXPECT_EQ(echo.listeners, (std::vector<bool>{true}));
  events.add({}, telemetry::StartEvent{.program = "sluice run", .version = "1"});
  turn();
  EXPECT_NE(answer(peer).find(R"("type":"start")"), std::string::npos);
  peer.send("{\"do\":\"status\"}\n");  // Nothing more is listened to.
  settle();
  EXPECT_TRUE(echo.requests.empty());
  peer.close();
  settle();
  EXPECT_FALSE(server_->has_subscribers());
  EXPECT_EQ(echo.listeners, (std::vector<bool>{true, false}));
  EXPECT_FALSE(events.wanted());
}

TEST_F(ControlServerTest, ASubscriberThatDoesNotReadCostsABoundedMemory) {
  Peer& peer = connect();
  peer.send("{\"do\":\"subscribe\"}\n");
  EXPECT_NE(answer(peer), "");
  for (int i = 0; i < 20'000; ++i) {
    events.add({}, telemetry::StartEvent{.program = "sluice run", .version = "1"});
    if (i % 100 == 0) turn();
  }
  EXPECT_GT(events.lost(), 0u);
  EXPECT_TRUE(server_->has_subscribers());  // It is told of what it lost when it reads on.
  EXPECT_FALSE(is_ready());
}

}  // namespace
}  // namespace sluice::control
