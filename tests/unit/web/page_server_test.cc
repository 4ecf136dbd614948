// The page's server with real clients and a run of the test's, in one thread.
#include "web/page_server.h"

#include <fcntl.h>
#include <netinet/in.h>

#include <array>
#include <deque>

#include "unit/web/fake_run.h"

namespace sluice::web {
namespace {

const Secrets kSecrets{std::string(64, 't'), std::string(64, 's'), std::string(64, 'k')};

class PageServerTest : public testing::Test {
 protected:
  PageServerTest() {
    UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address_;
    auto* const address = reinterpret_cast<sockaddr*>(&address_);
    EXPECT_EQ(::bind(listener.get(), address, length), 0);
    EXPECT_EQ(::listen(listener.get(), 16), 0);
    EXPECT_EQ(::getsockname(listener.get(), address, &length), 0);
    authority_ = fmt::format("127.0.0.1:{}", ntohs(address_.sin_port));
    auto opened = PageServer::open(loop_, std::move(listener), Gatekeeper(authority_, kSecrets),
                                   {.list_runs = [this] { return runs; },
                                    .domain_of = [](const std::string& name) { return "D" + name; },
                                    .remember =
                                        [this](const std::string&) {
                                          ++remembered;
                                          return problem;
                                        }});
    EXPECT_TRUE(opened.has_value()) << opened.error();
    server_ = std::move(*opened);
  }

  UniqueFd& connect() {
    UniqueFd& client = clients_.emplace_back(::socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(
        ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_), 0);
    EXPECT_EQ(::fcntl(client.get(), F_SETFL, O_NONBLOCK), 0);
    return client;
  }
  UniqueFd& ask(std::string_view method, std::string_view path, std::string_view body = "",
                std::string_view more = "") {
    UniqueFd& client = connect();
    const std::string text = fmt::format(
        "{} {} HTTP/1.1\r\nHost: {}\r\nCookie: sluice={}\r\nX-Sluice-Key: {}\r\n"
        "Content-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{}",
        method, path, authority_, kSecrets.session, kSecrets.key, body.size(), more, body);
    EXPECT_EQ(::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
    return client;
  }
  // Some rounds of the loop, in `now`.
  void turn() {
    for (int i = 0; i < 10; ++i) {
      std::array<epoll_event, 16> events{};
      const auto count = loop_.wait(events, now, now);
      for (std::size_t at = 0; at < count.value_or(0); ++at) {
        server_->on_event(events[at].data.u64, events[at].events, now);
      }
      server_->run(now);
    }
  }
  // All that has come for this client.
  std::string answer(UniqueFd& client) {
    turn();
    std::string text;
    char bytes[65'536];
    ssize_t got = 0;
    while ((got = ::recv(client.get(), bytes, sizeof bytes, 0)) > 0) {
      text.append(bytes, static_cast<std::size_t>(got));
    }
    return text;
  }
  std::string told(std::string_view method, std::string_view path, std::string_view body = "",
                   std::string_view more = "") {
    return answer(ask(method, path, body, more));
  }

  std::vector<std::string> runs;
  int remembered = 0;
  std::string problem;
  Instant now{std::chrono::seconds(1000)};
  std::string authority_;
  sys::EventLoop loop_ = std::move(*sys::EventLoop::create(sys::real_kernel()));
  sockaddr_in address_{};
  std::deque<UniqueFd> clients_;
  std::unique_ptr<PageServer> server_;
};

TEST_F(PageServerTest, ThePageIsServedStrictly) {
  const std::string page = told("GET", "/");
  EXPECT_TRUE(page.starts_with("HTTP/1.1 200 ")) << page;
  EXPECT_NE(page.find("Content-Security-Policy: default-src 'none'"), std::string::npos);
  EXPECT_NE(page.find("<!doctype html>"), std::string::npos);
  EXPECT_TRUE(told("GET", "/nothing").starts_with("HTTP/1.1 404 "));
}

TEST_F(PageServerTest, WhoMayNotAskIsToldSo) {
  EXPECT_TRUE(
      told("GET", "/api/runs", "", "Origin: http://evil.test\r\n").starts_with("HTTP/1.1 403 "));
  EXPECT_TRUE(told("PUT", "/api/ask", "{}").starts_with("HTTP/1.1 405 "));
}

TEST_F(PageServerTest, TheTokenOpensTheSession) {
  const std::string session =
      told("POST", "/api/session", "{\"token\":\"" + kSecrets.token + "\"}");
  EXPECT_NE(session.find("Set-Cookie: sluice=" + kSecrets.session +
                         "; HttpOnly; SameSite=Strict; Path=/"),
            std::string::npos)
      << session;
  EXPECT_NE(session.find("{\"key\":\"" + kSecrets.key + "\"}"), std::string::npos);
  EXPECT_TRUE(told("POST", "/api/session", R"({"token":"x"})").starts_with("HTTP/1.1 403 "));
}

TEST_F(PageServerTest, RunsAreAskedAndThoseThatAreGoneLeftOut) {
  FakeRun run;
  runs = {"gone1", run.name, "gone2"};
  UniqueFd& client = ask("GET", "/api/runs");
  EXPECT_EQ(answer(client), "");
  run.accept();
  EXPECT_EQ(run.hear(), "{\"do\":\"status\"}\n");
  run.say("{\"ok\":true,\"run\":\"x\"}\n");
  EXPECT_NE(answer(client).find(R"({"runs":[{"items":[],"answer":{"ok":true,"run":"x"}}]})"),
            std::string::npos);
}

TEST_F(PageServerTest, ARequestGoesToItsRun) {
  FakeRun run;
  UniqueFd& client =
      ask("POST", "/api/ask", R"({"run":")" + run.name + R"(","do":"kill","flow":"1"})");
  turn();
  run.accept();
  EXPECT_EQ(run.hear(), "{\"do\":\"kill\",\"flow\":\"1\"}\n");
  run.say("{\"ok\":true}\n");
  EXPECT_NE(answer(client).find(R"({"items":[],"answer":{"ok":true}})"), std::string::npos);
  EXPECT_TRUE(told("POST", "/api/ask", R"({"run":"nosuchrun","do":"status"})")
                  .starts_with("HTTP/1.1 502 "));
  EXPECT_TRUE(told("POST", "/api/ask", "[]").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(
      told("POST", "/api/ask", std::string(kBodyMax + 1, ' ')).starts_with("HTTP/1.1 413 "));
  EXPECT_EQ(remembered, 0);
}

TEST_F(PageServerTest, AnAnswerForEverIsWrittenDownOnceTheRunAgrees) {
  FakeRun run;
  const std::string body = R"({"run":")" + run.name + R"(","do":"approve","scope":"always"})";
  UniqueFd& client = ask("POST", "/api/ask", body);
  turn();
  run.accept();
  run.say("{\"ok\":true}\n");
  EXPECT_TRUE(answer(client).starts_with("HTTP/1.1 200 "));
  EXPECT_EQ(remembered, 1);
  problem = "the disk is full";
  UniqueFd& other = ask("POST", "/api/ask", body);
  turn();
  run.say("{\"ok\":true}\n");
  EXPECT_NE(answer(other).find("the disk is full"), std::string::npos);
}

TEST_F(PageServerTest, DomainsAreToldOfNames) {
  EXPECT_NE(told("POST", "/api/domains", R"({"names":["a","b"]})").find(R"({"a":"Da","b":"Db"})"),
            std::string::npos);
}

TEST_F(PageServerTest, EventsComeAsTheyHappenUntilTheEnd) {
  FakeRun run;
  UniqueFd& client = ask("GET", "/api/events?run=" + run.name);
  const std::string head = answer(client);
  EXPECT_NE(head.find("Content-Type: text/event-stream"), std::string::npos) << head;
  run.accept();
  run.say("{\"ok\":true}\n{\"seq\":1}\n");
  EXPECT_NE(answer(client).find("data: {\"seq\":1}\n\n"), std::string::npos);
  EXPECT_EQ(answer(client), "");
  now += PageServer::kBeat;
  EXPECT_NE(answer(client).find(":\n\n"), std::string::npos);
  run.hang_up();
  EXPECT_NE(answer(client).find("event: end\n"), std::string::npos);
  EXPECT_TRUE(told("GET", "/api/events?run=nosuchrun").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(told("GET", "/api/events").starts_with("HTTP/1.1 400 "));
}

TEST_F(PageServerTest, AStreamIsThereUntilThePageGoes) {
  FakeRun run;
  for (std::size_t i = 0; i < PageServer::kStreamsMax; ++i) {
    ask("GET", "/api/events?run=" + run.name);
    turn();
  }
  EXPECT_TRUE(told("GET", "/api/events?run=" + run.name).starts_with("HTTP/1.1 503 "));
  clients_.clear();
  for (int i = 0; i < 3; ++i) {
    now += PageServer::kBeat;
    turn();
  }
  EXPECT_TRUE(told("GET", "/api/events?run=" + run.name).starts_with("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace sluice::web
