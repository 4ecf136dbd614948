#include "forward/supervisor/listener_set.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <set>

#include "forward/listen/upgrade.h"
#include "sys/socket_options.h"
#include "unit/forward/sockets.h"
#include "unit/sys/loopback.h"

namespace sluice::forward {
namespace {

using policy::Protocol;

class ListenerSetTest : public ::testing::Test {
 protected:
  // What the workers would hold.
  using Told = std::vector<std::vector<WorkerListener>>;

  ListenerSet set(std::uint32_t workers) {
    return ListenerSet(sys::real_kernel(), inherited_, workers);
  }
  static Told install(ListenerSet& set, const Plan& plan) {
    auto change = set.prepare(plan, BadListeners::kRefuse);
    EXPECT_TRUE(change.has_value()) << (change ? "" : change.error());
    if (!change) return {};
    return set.commit(std::move(*change), live(plan));
  }
  static std::uint16_t port_of(const ListenerSet& set) {
    return set.listeners().begin()->second.bound.port.value;
  }
  // How many of 64 connections each socket of this listener got; they are accepted.
  static std::vector<int> spread(const Told& told, const std::string& address) {
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 64; ++i) {
      clients.push_back(connect_to(address, told.front().front().port));
      EXPECT_TRUE(clients.back().valid());
    }
    std::vector<int> counts;
    for (const auto& worker : told) {
      for (const WorkerListener& listener : worker) {
        counts.push_back(0);
        for (;;) {
          const UniqueFd fd(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
          if (!fd.valid()) break;
          ++counts.back();
        }
      }
    }
    return counts;
  }

  InheritedSockets inherited_{sys::real_kernel()};
};

TEST_F(ListenerSetTest, EachWorkerHasASocketOfOnePort) {
  for (const std::string address : {"127.0.0.1", "0.0.0.0", "::1", "*"}) {
    ListenerSet listeners = set(3);
    const Told told = install(listeners, plan_of({rule_at(address, 0)}));
    ASSERT_EQ(told.size(), 3U);
    for (const auto& worker : told) {
      ASSERT_EQ(worker.size(), 1U);
      EXPECT_EQ(worker.front().port, told[0][0].port);
    }
    const std::vector<int> counts = spread(told, address == "::1" ? "::1" : "127.0.0.1");
    EXPECT_EQ(counts[0] + counts[1] + counts[2], 64) << address;
    for (const int count : counts) EXPECT_GT(count, 0) << address;
  }
}

TEST_F(ListenerSetTest, ASecondCopyIsRefusedWithPlaceAndCause) {
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
    ListenerSet first = set(2);
    const Told told = install(first, plan_of({rule_at("127.0.0.1", 0, protocol)}));
    Rule rule = rule_at("127.0.0.1", port_of(first), protocol);
    rule.where = {"rules.conf", 12};
    for (const std::string host : {"127.0.0.1", "0.0.0.0", "*"}) {
      rule.listen.host = host;
      ListenerSet second = set(2);
      const auto refused = second.prepare(plan_of({rule}), BadListeners::kRefuse);
      ASSERT_FALSE(refused.has_value()) << host;
      EXPECT_EQ(refused.error().find("rules.conf:12: cannot listen on "), 0U) << refused.error();
      EXPECT_NE(refused.error().find("Address already in use"), std::string::npos);
    }
  }
}

// A worker keeps the socket of a UDP listener that is gone, and its rule, while it has sessions.
TEST_F(ListenerSetTest, AUdpPortThatLingersIsOurs) {
  ListenerSet listeners = set(2);
  Told held = install(listeners, plan_of({rule_at("127.0.0.1", 0, Protocol::kUdp)}));
  const Plan again = plan_of({rule_at("127.0.0.1", held.front().front().port, Protocol::kUdp)});
  (void)install(listeners, plan_of({}));
  EXPECT_TRUE(listeners.prepare(again, BadListeners::kRefuse).has_value());
  // With a rule that is gone the socket there is somebody else's.
  for (auto& worker : held) worker.front().rule.reset();
  EXPECT_FALSE(listeners.prepare(again, BadListeners::kRefuse).has_value());
}

TEST_F(ListenerSetTest, UnchangedStayNewOpenGoneClose) {
  ListenerSet listeners = set(2);
  Plan plan = plan_of({rule_at("127.0.0.1", 0), rule_at("127.0.0.2", 0)});
  const Told before = install(listeners, plan);
  plan.rules[0] = rule_at("127.0.0.3", 0);
  std::swap(plan.rules[0], plan.rules[1]);
  plan.rules[0].timeouts.connect = std::chrono::seconds{1};

  auto change = listeners.prepare(plan, BadListeners::kRefuse).value();
  EXPECT_EQ(change.opened(), 1U);
  EXPECT_EQ(change.closed(), 1U);
  const auto rules = live(plan);
  const Told after = listeners.commit(std::move(change), rules);
  for (std::size_t worker = 0; worker < 2; ++worker) {
    ASSERT_EQ(after[worker].size(), 2U);
    EXPECT_EQ(after[worker][0].id, before[worker][1].id);
    EXPECT_EQ(after[worker][0].rule, rules[0]);
    EXPECT_FALSE(after[worker][0].socket.valid()) << "the worker has it";
    EXPECT_TRUE(after[worker][1].socket.valid());
    EXPECT_NE(after[worker][1].id, before[worker][0].id);
  }
  EXPECT_EQ(listeners.size(), 2U);
}

TEST_F(ListenerSetTest, ARefusedChangeLeavesNothingOpen) {
  ListenerSet other = set(1);
  const Told taken = install(other, plan_of({rule_at("127.0.0.1", 0)}));
  ListenerSet listeners = set(2);
  std::uint16_t free_port = 0;
  {
    ListenerSet probe = set(1);
    const Told told = install(probe, plan_of({rule_at("127.0.0.1", 0)}));
    free_port = port_of(probe);
  }
  const Plan plan =
      plan_of({rule_at("127.0.0.1", free_port), rule_at("127.0.0.1", port_of(other))});
  EXPECT_FALSE(listeners.prepare(plan, BadListeners::kRefuse).has_value());
  EXPECT_FALSE(connect_to("127.0.0.1", free_port).valid());
  EXPECT_EQ(listeners.size(), 0U);

  auto skipping = listeners.prepare(plan, BadListeners::kSkip).value();
  EXPECT_EQ(skipping.errors().size(), 1U);
  const Told told = listeners.commit(std::move(skipping), live(plan));
  EXPECT_TRUE(connect_to("127.0.0.1", free_port).valid());
}

TEST_F(ListenerSetTest, ASkippedRuleKeepsNoneOfItsPorts) {
  ListenerSet other = set(1);
  const Told taken = install(other, plan_of({rule_at("127.0.0.1", 0)}));
  Rule range = rule_at("127.0.0.1", static_cast<std::uint16_t>(port_of(other) - 1));
  range.listen.port_count = 2;
  ListenerSet listeners = set(1);
  auto change = listeners.prepare(plan_of({range}), BadListeners::kSkip).value();
  EXPECT_EQ(change.opened(), 0U);
  EXPECT_FALSE(connect_to("127.0.0.1", range.listen.port).valid());
}

TEST_F(ListenerSetTest, AWiderOrNarrowerAddressReplacesTheOldOne) {
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
    ListenerSet listeners = set(2);
    const Told wide = install(listeners, plan_of({rule_at("*", 0, protocol)}));
    const std::uint16_t port = port_of(listeners);
    const Told narrow = install(listeners, plan_of({rule_at("127.0.0.1", port, protocol)}));
    ASSERT_EQ(narrow.size(), 2U);
    EXPECT_TRUE(narrow[0][0].socket.valid());
    const Told wide_again = install(listeners, plan_of({rule_at("*", port, protocol)}));
    ASSERT_EQ(wide_again.size(), 2U);
  }
}

TEST_F(ListenerSetTest, ChangedListenerOptionsMeanANewSocketBesideTheOld) {
  ListenerSet listeners = set(1);
  const Told before = install(listeners, plan_of({rule_at("127.0.0.1", 0)}));
  Rule changed = rule_at("127.0.0.1", port_of(listeners));
  changed.socket.receive_buffer = 8192;
  const Told after = install(listeners, plan_of({changed}));
  ASSERT_EQ(after.size(), 1U);
  EXPECT_EQ(sys::get_option(after[0][0].socket, SOL_SOCKET, SO_RCVBUF).value(), 2 * 8192);
}

TEST_F(ListenerSetTest, TwoRulesAtOnePlaceAreRefused) {
  ListenerSet probe = set(1);
  std::uint16_t port = 0;
  {
    const Told told = install(probe, plan_of({rule_at("127.0.0.1", 0)}));
    port = port_of(probe);
  }
  Plan plan = plan_of({rule_at("127.0.0.1", port), rule_at("127.0.0.1", port)});
  plan.rules[0].where = {"rules.conf", 3};
  plan.rules[1].where = {"rules.conf", 4};
  plan.rules[1].socket.fast_open = true;  // Another key, but the same place.
  ListenerSet listeners = set(2);
  const auto refused = listeners.prepare(plan, BadListeners::kRefuse);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error(), "rules.conf:4: cannot listen on 127.0.0.1:" + std::to_string(port) +
                                 ": rules.conf:3 listens there too; leave one out");
}

TEST_F(ListenerSetTest, AllAddressesOfANameAndAllPortsOfARange) {
  ListenerSet probe = set(1);
  const Told told = install(probe, plan_of({rule_at("localhost", 0)}));
  EXPECT_GE(told[0].size(), 1U);
  for (const auto& [key, listener] : probe.listeners()) {
    EXPECT_TRUE(listener.bound.address.is_loopback());
  }
  ListenerSet missing = set(1);
  const auto unknown =
      missing.prepare(plan_of({rule_at("no-such-host.invalid", 1)}), BadListeners::kRefuse);
  ASSERT_FALSE(unknown.has_value());
  EXPECT_NE(unknown.error().find("'no-such-host.invalid'"), std::string::npos);
}

TEST_F(ListenerSetTest, AcceptedSocketsInheritOptions) {
  ListenerSet listeners = set(1);
  Rule rule = rule_at("127.0.0.1", 0);
  rule.socket.keepalive = {.enabled = true, .idle_seconds = 17, .interval_seconds = 5, .count = 3};
  const Told told = install(listeners, plan_of({rule}));
  const UniqueFd client = connect_to("127.0.0.1", port_of(listeners));
  const sys::KernelFd server(sys::real_kernel(),
                             ::accept4(told[0][0].socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(server.valid());
  EXPECT_EQ(sys::get_option(server, IPPROTO_TCP, TCP_NODELAY).value(), 1);
  EXPECT_EQ(sys::get_option(server, SOL_SOCKET, SO_KEEPALIVE).value(), 1);
  EXPECT_EQ(sys::get_option(server, IPPROTO_TCP, TCP_KEEPIDLE).value(), 17);
  EXPECT_EQ(sys::get_option(server, IPPROTO_TCP, TCP_KEEPCNT).value(), 3);
}

TEST_F(ListenerSetTest, UnixSocketsAreSharedReplacedWhenStaleAndRemoved) {
  const TestFolder folder;
  const std::string path = folder / "a.sock";
  const Plan plan = plan_of({unix_rule(path)});
  {
    ListenerSet listeners = set(2);
    const Told told = install(listeners, plan);
    struct stat status{};
    ASSERT_EQ(::lstat(path.c_str(), &status), 0);
    const mode_t mask = ::umask(0);
    ::umask(mask);
    EXPECT_EQ(status.st_mode & 0777, 0666U & ~mask);
    ListenerSet second = set(1);
    const auto refused = second.prepare(plan, BadListeners::kRefuse);
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().find("another program listens there"), std::string::npos);
    listeners.forget_paths();
  }
  ASSERT_TRUE(std::filesystem::exists(path)) << "left behind, with nobody listening";
  {
    ListenerSet listeners = set(1);
    const Told told = install(listeners, plan);
    EXPECT_EQ(told.size(), 1U);
    const Told gone = install(listeners, plan_of({}));
    EXPECT_FALSE(std::filesystem::exists(path)) << "the rule is gone, and its socket with it";
  }
  std::filesystem::create_directory(path);
  ListenerSet listeners = set(1);
  EXPECT_FALSE(listeners.prepare(plan, BadListeners::kRefuse).has_value());
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(ListenerSetTest, AnotherProgramsPathIsNotRemoved) {
  const TestFolder folder;
  const std::string path = folder / "a.sock";
  ListenerSet listeners = set(1);
  const Told told = install(listeners, plan_of({unix_rule(path)}));
  std::filesystem::remove(path);
  UniqueFd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)).reset();
  listeners.remove_paths();
  EXPECT_TRUE(std::filesystem::exists(path));
}

// The description goes through the environment, as to a new process, which here is this one.
class HandOver : public ListenerSetTest,
                 public ::testing::WithParamInterface<std::pair<unsigned, unsigned>> {
 protected:
  static InheritedSockets hand_over(const ListenerSet& from, const Told& told) {
    std::map<int, int> copies;
    for (const auto& worker : told) {
      for (const WorkerListener& listener : worker) {
        copies[listener.socket.get()] = ::fcntl(listener.socket.get(), F_DUPFD, 0);
      }
    }
    std::vector<PassedSocket> sockets = from.passed_sockets();
    for (PassedSocket& socket : sockets) socket.fd = copies.at(socket.fd);
    const std::string text = describe_sockets(sockets);
    const int file = ::memfd_create("test", 0);
    EXPECT_EQ(::write(file, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    ::setenv(kUpgradeVariable, fmt::format("{} {} {}", ::getpid(), file, ready[1]).c_str(), 1);
    auto inherited = InheritedSockets::take(sys::real_kernel()).value();
    EXPECT_TRUE(inherited.is_upgrade());
    EXPECT_EQ(::getenv(kUpgradeVariable), nullptr);
    inherited.tell_ready();
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    EXPECT_EQ(byte, kUpgradeReady);
    ::close(ready[0]);
    return inherited;
  }
};

TEST_P(HandOver, EveryQueueIsServed) {
  const auto [old_workers, new_workers] = GetParam();
  ListenerSet old_set = set(old_workers);
  const Plan plan = plan_of({rule_at("127.0.0.1", 0), rule_at("127.0.0.2", 0, Protocol::kUdp)});
  Told told = install(old_set, plan);
  const std::uint16_t port = told[0][0].port;
  InheritedSockets inherited = hand_over(old_set, told);
  // Connections that wait while nobody serves, then the old process is gone.
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 64; ++i) clients.push_back(connect_to("127.0.0.1", port));
  told.clear();

  ListenerSet new_set(sys::real_kernel(), inherited, new_workers);
  const Told now = install(new_set, plan);
  ASSERT_EQ(now.size(), new_workers);
  int waiting = 0;
  std::set<std::uint64_t> ids;
  for (const auto& worker : now) {
    EXPECT_GE(worker.size(), 2U);
    for (const WorkerListener& listener : worker) {
      EXPECT_TRUE(ids.insert(listener.id).second);
      if (listener.rule->plan.listens_udp()) continue;
      EXPECT_EQ(listener.port, port);
      while (UniqueFd(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC)).valid()) {
        ++waiting;
      }
    }
  }
  EXPECT_EQ(waiting, 64);
  EXPECT_EQ(ids.size(), 2 * std::max(old_workers, new_workers));
}

INSTANTIATE_TEST_SUITE_P(Workers, HandOver,
                         ::testing::Values(std::pair{1U, 1U}, std::pair{1U, 3U}, std::pair{3U, 1U},
                                           std::pair{3U, 2U}));

TEST_F(HandOver, UnwantedAndChangedListeners) {
  ListenerSet old_set = set(2);
  const Told told = install(old_set, plan_of({rule_at("127.0.0.1", 0), rule_at("127.0.0.2", 0)}));
  const std::uint16_t kept_port = told[0][0].port;
  InheritedSockets inherited = hand_over(old_set, told);
  ListenerSet new_set(sys::real_kernel(), inherited, 2);
  // The same port with another option: our own old process is in the way, and may be.
  Rule changed = rule_at("127.0.0.1", kept_port);
  changed.socket.send_buffer = 8192;
  const Told now = install(new_set, plan_of({changed}));
  ASSERT_EQ(now.size(), 2U);
  EXPECT_EQ(now[0].size(), 1U);
  inherited.close_unused();
}

}  // namespace
}  // namespace sluice::forward
