// With real namespaces, where the system allows them.
#include "serve/namespace/command_guest.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <csignal>
#include <string>

#include "link/tap.h"
#include "unit/sys/loopback.h"

namespace sluice::serve {
namespace {

class CommandGuestTest : public ::testing::Test {
 protected:
  void SetUp() override { ::sigprocmask(SIG_BLOCK, nullptr, &saved.mask); }

  // False where the system lacks something.
  bool start(std::vector<std::string> command) {
    guest.emplace(CommandPlan{.command = std::move(command)});
    if (!guest->begin({.network = network,
                       .resolver_options = none,
                       .fast_path = fast_path,
                       .joins_loopback = joins_loopback,
                       .workers = workers,
                       .signals = saved,
                       .descriptor_limit = {}})) {
      return false;
    }
    auto given = guest->await(sys::real_kernel());
    if (!given) return false;
    ends = std::move(*given);
    return guest->start().has_value();
  }
  // As the server does, until it has ended.
  std::optional<int> end() {
    for (int turns = 0; turns < 1000 && !guest->exit_status(); ++turns) {
      const std::vector<int> fds = guest->descriptors();
      std::vector<pollfd> items;
      for (const int fd : fds) items.push_back({.fd = fd, .events = POLLIN, .revents = 0});
      if (::poll(items.data(), items.size(), 30'000) <= 0) return std::nullopt;
      for (std::size_t i = 0; i < items.size(); ++i) {
        if (items[i].revents != 0) guest->on_ready(i);
      }
    }
    return guest->exit_status();
  }

  flow::GuestNetwork network = [] {
    flow::GuestNetwork without_names;
    without_names.dns = false;
    return without_names;
  }();
  std::vector<std::string> none;
  policy::FastPathUse fast_path = policy::FastPathUse::kOff;
  bool joins_loopback = false;
  std::uint32_t workers = 1;
  sys::SavedSignals saved;
  std::optional<CommandGuest> guest;
  GuestEnds ends;
};

TEST_F(CommandGuestTest, ItsExitStatusIsTheCommands) {
  if (!start({"sh", "-c", "exit 7"})) GTEST_SKIP() << "no namespaces here";
  ASSERT_EQ(ends.links.size(), 1U);
  EXPECT_EQ(ends.links.front()->descriptors().size(), 1U);
  EXPECT_EQ(guest->signalled(), guest->descriptors()[0]);
  EXPECT_EQ(end(), 7);
  EXPECT_FALSE(guest->failure().has_value());
  EXPECT_LT(guest->descriptors()[0], 0);  // Its end is told once.
}

TEST_F(CommandGuestTest, EachWorkerHasALinkAndTalksToTheAgent) {
  workers = 3;
  fast_path = policy::FastPathUse::kAuto;
  if (!start({"sleep", "1000"})) GTEST_SKIP() << "no namespaces here";
  ASSERT_EQ(ends.links.size(), 3U);
  ASSERT_EQ(ends.agents.size(), 3U);
  for (agent::GuestAgent& agent : ends.agents) {
    EXPECT_FALSE(std::holds_alternative<agent::AgentGone>(agent.await(std::chrono::seconds(30))));
  }
  for (const auto& link : ends.links) {
    EXPECT_EQ(link->descriptors().size(), 1U);
    EXPECT_EQ(link->features(), ends.links.front()->features());
    EXPECT_FALSE(link->read_burst(link::Link::Depth::kToTheEnd).gone);
  }
  guest->kill();
  EXPECT_EQ(end(), 128 + SIGKILL);
}

TEST_F(CommandGuestTest, WithoutFastPathThereIsNobodyToTalkTo) {
  workers = 2;
  if (!start({"true"})) GTEST_SKIP() << "no namespaces here";
  EXPECT_EQ(ends.links.size(), 2U);
  EXPECT_TRUE(ends.agents.empty());
  EXPECT_EQ(end(), 0);
}

TEST_F(CommandGuestTest, SocketsOfItsNetworkCanBeHadWithoutFastPath) {
  joins_loopback = true;
  if (!start({"sleep", "1000"})) GTEST_SKIP() << "no namespaces here";
  ASSERT_EQ(ends.agents.size(), 1U);
  const wire::Endpoint at{wire::IpAddress::loopback(wire::IpFamily::kV4), wire::Port{80}};
  ASSERT_TRUE(ends.agents[0].make_sockets(7, {.family = wire::IpFamily::kV4, .bound = at}));
  const agent::AgentMessage said = ends.agents[0].await(std::chrono::seconds(30));
  const auto* const made = std::get_if<agent::AgentSockets>(&said);
  ASSERT_NE(made, nullptr);
  EXPECT_EQ(made->tag, 7U);
  EXPECT_EQ(made->error, 0);
  EXPECT_EQ(made->sockets.size(), 1U);
  guest->kill();
  EXPECT_EQ(end(), 128 + SIGKILL);
}

TEST_F(CommandGuestTest, MoreWorkersThanATapHasQueuesAreAnError) {
  workers = link::kMaxTapQueues + 1;
  EXPECT_FALSE(start({"true"}));
}

TEST_F(CommandGuestTest, ACommandThatIsNotThereIsAFailure) {
  if (!start({"/nonexistent/command"})) GTEST_SKIP() << "no namespaces here";
  EXPECT_EQ(end(), netns::kExitNotFound);
  EXPECT_TRUE(guest->failure().has_value());
}

TEST_F(CommandGuestTest, ASignalReachesTheCommand) {
  if (!start({"sleep", "1000"})) GTEST_SKIP() << "no namespaces here";
  signalfd_siginfo info{};
  info.ssi_signo = SIGTERM;
  info.ssi_code = SI_USER;
  guest->on_signal(info);
  EXPECT_EQ(end(), 128 + SIGTERM);
}

TEST_F(CommandGuestTest, ItsEndIsSeenBySigchldToo) {
  if (!start({"sleep", "1000"})) GTEST_SKIP() << "no namespaces here";
  signalfd_siginfo info{};
  info.ssi_signo = SIGCHLD;
  guest->on_signal(info);
  EXPECT_FALSE(guest->exit_status().has_value());
  guest->kill();
  ASSERT_TRUE(sys::wait_for(guest->signalled(), POLLIN, 30'000));
  guest->on_signal(info);
  EXPECT_EQ(guest->exit_status(), 128 + SIGKILL);
}

TEST_F(CommandGuestTest, ALinkThatCannotBeMadeIsAnErrorWithItsMend) {
  guest.emplace(CommandPlan{.command = {"true"}, .tap = {.interface = "a/b"}});
  if (!guest->begin({.network = network,
                     .resolver_options = none,
                     .fast_path = policy::FastPathUse::kOff,
                     .signals = saved,
                     .descriptor_limit = {}})) {
    GTEST_SKIP() << "no namespaces here";
  }
  const auto given = guest->await(sys::real_kernel());
  ASSERT_FALSE(given.has_value());
  EXPECT_NE(given.error().describe(), "");
}

}  // namespace
}  // namespace sluice::serve
