#include "forward/supervisor/health.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sys/sockaddr.h"
#include "telemetry/log.h"

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kTagBase = std::uint64_t{7} << 56;

// A listener on a port of loopback that can close and come back.
class Server {
 public:
  Server() { open(); }
  void open() {
    fd_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    auto address = sys::to_sockaddr({wire::IpAddress::v4(0x7f00'0001), wire::Port{port_}});
    ASSERT_EQ(::bind(fd_.get(), address.get(), address.length), 0) << std::strerror(errno);
    ASSERT_EQ(::listen(fd_.get(), 64), 0);
    address.length = sizeof address.storage;
    ASSERT_EQ(::getsockname(fd_.get(), address.get(), &address.length), 0);
    port_ = sys::from_sockaddr(address.storage, address.length)->port.value;
  }
  void close() { fd_.reset(); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] UniqueFd accept() {
    return UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  // What a client said before its end or its reset.
  [[nodiscard]] static std::string said_to(const UniqueFd& client) {
    std::string text;
    std::array<char, 256> block{};
    for (;;) {
      const ssize_t got = ::recv(client.get(), block.data(), block.size(), 0);
      if (got <= 0) return text;
      text.append(block.data(), static_cast<std::size_t>(got));
    }
  }
  // How many connections came since.
  [[nodiscard]] int accepted() {
    int count = 0;
    while (true) {
      const UniqueFd client(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client.valid()) return count;
      ++count;
    }
  }

 private:
  UniqueFd fd_;
  std::uint16_t port_ = 0;
};

Target target_at(std::string host, std::uint16_t port) {
  Target target;
  target.place.host = std::move(host);
  target.place.port = port;
  return target;
}

class HealthChecksTest : public testing::Test {
 protected:
  HealthChecksTest() { telemetry::set_log_level(telemetry::LogLevel::kError); }
  ~HealthChecksTest() override { telemetry::set_log_level(telemetry::LogLevel::kWarn); }

  static std::shared_ptr<LiveRule> rule_of(std::vector<Target> targets) {
    Rule rule;
    rule.name = "test";
    rule.targets = std::move(targets);
    rule.health = {.enabled = true, .interval = 20ms, .timeout = 20ms, .rise = 2, .fall = 3};
    return std::make_shared<LiveRule>(std::move(rule), policy::AccessList{},
                                      std::make_shared<RuleCounters>());
  }

  // Runs the loop until `done`, for at most two seconds.
  template <typename Done>
  bool run_until(Done done) {
    const Instant end = loop_.now() + 2s;
    while (!done()) {
      const Instant now = loop_.now();
      if (now > end) return false;
      turn(std::min(checks_.next_deadline(), end));
    }
    return true;
  }
  void run_for(Duration time) {
    const Instant end = loop_.now() + time;
    while (loop_.now() < end) turn(std::min(checks_.next_deadline(), end));
  }
  void turn(Instant deadline) {
    std::array<epoll_event, 16> events{};
    const std::size_t ready = loop_.wait(events, loop_.now(), deadline).value();
    for (std::size_t i = 0; i < ready; ++i) {
      const std::uint64_t tag = events[i].data.u64;
      EXPECT_EQ(tag & ~std::uint64_t{0xffff'ffff}, kTagBase);
      checks_.on_event(static_cast<std::uint32_t>(tag), events[i].events, loop_.now());
    }
    checks_.on_time(loop_.now());
  }

  sys::EventLoop loop_ = sys::EventLoop::create(sys::real_kernel()).value();
  HealthChecks checks_{sys::real_kernel(), loop_, kTagBase, 5};
};

TEST_F(HealthChecksTest, ATargetGoesAndComesBack) {
  Server server;
  const auto rule = rule_of({target_at("127.0.0.1", server.port())});
  checks_.watch(rule, loop_.now());
  ASSERT_TRUE(run_until([&] { return server.accepted() > 0; }));
  EXPECT_TRUE(rule->targets.up(0));
  server.close();
  ASSERT_TRUE(run_until([&] { return !rule->targets.up(0); }));
  server.open();
  ASSERT_TRUE(run_until([&] { return rule->targets.up(0); }));
}

// A check of a rule with PROXY headers is told from a client that says nothing.
TEST_F(HealthChecksTest, AProxyHeaderSaysThatItIsACheck) {
  const std::string v2("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
  for (const auto& [version, wanted] : {std::pair{ProxyOut::kV1, std::string("PROXY UNKNOWN\r\n")},
                                        {ProxyOut::kV2, v2},
                                        {ProxyOut::kOff, std::string()}}) {
    Server server;
    Rule plan = rule_of({target_at("127.0.0.1", server.port())})->plan;
    plan.proxy_out = version;
    const auto rule = std::make_shared<LiveRule>(std::move(plan), policy::AccessList{},
                                                 std::make_shared<RuleCounters>());
    checks_.watch(rule, loop_.now());
    UniqueFd client;
    ASSERT_TRUE(run_until([&] {
      client = server.accept();
      return client.valid();
    }));
    EXPECT_EQ(Server::said_to(client), wanted);
  }
}

TEST_F(HealthChecksTest, RiseAndFallAreCounted) {
  Server server;
  server.close();
  const auto rule = rule_of({target_at("127.0.0.1", server.port())});
  // Time is given: each turn is one check, as a refusal by loopback comes at once or in the loop.
  Instant now = loop_.now();
  checks_.watch(rule, now);
  const auto check_once = [&] {
    now = checks_.next_deadline();
    checks_.on_time(now);
    std::array<epoll_event, 4> events{};
    const std::size_t ready = loop_.wait(events, loop_.now(), loop_.now() + 10ms).value();
    for (std::size_t i = 0; i < ready; ++i) {
      checks_.on_event(static_cast<std::uint32_t>(events[i].data.u64), events[i].events, now);
    }
  };
  check_once();
  check_once();
  EXPECT_TRUE(rule->targets.up(0));
  // A success in between begins the count anew.
  server.open();
  check_once();
  server.close();
  check_once();
  check_once();
  EXPECT_TRUE(rule->targets.up(0));
  check_once();
  EXPECT_FALSE(rule->targets.up(0));
  server.open();
  check_once();
  EXPECT_FALSE(rule->targets.up(0));
  check_once();
  EXPECT_TRUE(rule->targets.up(0));
}

TEST_F(HealthChecksTest, OnlyTheTargetThatFailsGoesDown) {
  Server good;
  Server bad;
  bad.close();
  const auto rule =
      rule_of({target_at("127.0.0.1", good.port()), target_at("127.0.0.1", bad.port())});
  checks_.watch(rule, loop_.now());
  ASSERT_TRUE(run_until([&] { return !rule->targets.up(1); }));
  EXPECT_TRUE(rule->targets.up(0));
}

TEST_F(HealthChecksTest, AnyAddressOfANameIsEnough) {
  Server server;
  const auto rule = rule_of({target_at("two.example", server.port())});
  checks_.watch(rule, loop_.now());
  run_for(100ms);
  EXPECT_TRUE(rule->targets.up(0));  // Without an address nothing is known.
  // Nobody listens on the first.
  rule->targets.set_addresses(0,
                              {wire::IpAddress::v4(0x7f00'0009), wire::IpAddress::v4(0x7f00'0001)});
  run_for(200ms);
  EXPECT_GT(server.accepted(), 3);
  EXPECT_TRUE(rule->targets.up(0));
  rule->targets.set_addresses(0, {wire::IpAddress::v4(0x7f00'0009)});
  ASSERT_TRUE(run_until([&] { return !rule->targets.up(0); }));
}

TEST_F(HealthChecksTest, ATargetThatSwallowsPacketsFailsByTimeout) {
  // A full queue: the kernel drops further SYNs.
  UniqueFd full(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = sys::to_sockaddr({wire::IpAddress::v4(0x7f00'0001), wire::Port{0}});
  ASSERT_EQ(::bind(full.get(), address.get(), address.length), 0);
  ASSERT_EQ(::listen(full.get(), 0), 0);
  ASSERT_EQ(::getsockname(full.get(), address.get(), &address.length), 0);
  std::vector<UniqueFd> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)::connect(waiting.back().get(), address.get(), address.length);
  }
  const auto port = sys::from_sockaddr(address.storage, address.length)->port.value;
  const auto rule = rule_of({target_at("127.0.0.1", port)});
  checks_.watch(rule, loop_.now());
  ASSERT_TRUE(run_until([&] { return !rule->targets.up(0); }));
}

TEST_F(HealthChecksTest, UnixSockets) {
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const std::string name = "@sluice-health-test-" + std::to_string(::getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data() + 1, name.size() - 1);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(listener.get(), 64), 0);
  Target target;
  target.place.path = name;
  const auto rule = rule_of({target});
  checks_.watch(rule, loop_.now());
  run_for(100ms);
  EXPECT_TRUE(rule->targets.up(0));
  const UniqueFd seen(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(seen.valid());
  listener.reset();
  ASSERT_TRUE(run_until([&] { return !rule->targets.up(0); }));
}

TEST_F(HealthChecksTest, ARuleThatEndsIsForgotten) {
  Server server;
  auto rule = rule_of({target_at("127.0.0.1", server.port())});
  checks_.watch(rule, loop_.now());
  const std::weak_ptr<LiveRule> seen = rule;
  run_for(50ms);
  rule.reset();
  EXPECT_TRUE(seen.expired());
  EXPECT_TRUE(run_until([&] { return checks_.next_deadline() == kNever; }));
}

TEST_F(HealthChecksTest, WatchedTwiceItIsCheckedOnce) {
  Server server;
  const auto rule = rule_of({target_at("127.0.0.1", server.port())});
  checks_.watch(rule, loop_.now());
  checks_.watch(rule, loop_.now());
  run_for(300ms);
  const int count = server.accepted();
  EXPECT_GE(count, 5);
  EXPECT_LE(count, 18);  // 16 intervals, shortened by a sixteenth at most.
}

TEST_F(HealthChecksTest, RulesWithoutChecksAndUdpTargetsAreLeftAlone) {
  Rule rule;
  rule.targets = {target_at("127.0.0.1", 9)};
  checks_.watch(std::make_shared<LiveRule>(rule, policy::AccessList{}, nullptr), loop_.now());
  rule.health.enabled = true;
  rule.targets[0].place.protocol = policy::Protocol::kUdp;
  checks_.watch(std::make_shared<LiveRule>(rule, policy::AccessList{}, nullptr), loop_.now());
  EXPECT_EQ(checks_.next_deadline(), kNever);
}

TEST_F(HealthChecksTest, FirstChecksAreSpreadOverAnInterval) {
  Rule rule;
  for (int i = 0; i < 100; ++i) rule.targets.push_back(target_at("192.0.2.1", 9));
  rule.health = {.enabled = true, .interval = 10s};
  const auto live = std::make_shared<LiveRule>(rule, policy::AccessList{}, nullptr);
  const Instant now = loop_.now();
  checks_.watch(live, now);
  EXPECT_LT(checks_.next_deadline(), now + 1s);
  // No more than a few of them in the first second.
  checks_.on_time(now + 1s);
  EXPECT_GE(checks_.next_deadline(), now + 1s);
  EXPECT_LT(checks_.next_deadline(), now + 3s);
}

}  // namespace
}  // namespace sluice::forward
