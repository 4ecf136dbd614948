#include "netns/namespaces.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <csignal>

#include "unit/sys/loopback.h"

namespace sluice::netns {
namespace {

std::expected<OpenedLink, sys::SetupError> open_bare_tap() {
  UniqueFd tap = sys::bare_tap("tap0");
  if (!tap.valid()) return std::unexpected(sys::SetupError{"/dev/net/tun", errno, "a hint"});
  OpenedLink link;
  link.descriptors.push_back(std::move(tap));
  link.cookie = 0x1234'5678'9abcULL;
  return link;
}

class Guest : public ::testing::TestWithParam<PidNamespace> {
 protected:
  void SetUp() override {
    ::sigprocmask(SIG_BLOCK, nullptr, &options.signals.mask);
    options.pid_namespace = GetParam();
    options.open_link = open_bare_tap;
    options.network.addresses = {{sys::ip("10.0.2.15"), 24}, {sys::ip("fd00::15"), 64}};
    options.network.gateways = {sys::ip("10.0.2.2"), sys::ip("fd00::2")};
    options.network.mac = wire::MacAddress{{0x52, 0x54, 0, 0x12, 0x34, 0x56}};
    options.command = {"true"};
    auto probe = spawn_guest(options);
    if (!probe) GTEST_SKIP() << probe.error().describe();
    if (auto link = probe->await_link(); !link) GTEST_SKIP() << link.error().describe();
  }

  // Starts `script` in a shell.
  std::optional<ChildProcess> start(const std::string& script) {
    options.command = {"sh", "-c", script};
    return start_command();
  }
  std::optional<ChildProcess> start_command() {
    auto guest = spawn_guest(options);
    if (!guest) return std::nullopt;
    auto link = guest->await_link();
    if (!link) return std::nullopt;
    cookie = link->cookie;
    queues = std::move(link->descriptors);
    auto child = std::move(*guest).release();
    if (!child) return std::nullopt;
    return std::move(*child);
  }
  static int finish(ChildProcess& child) {
    if (!sys::wait_for(child.pidfd(), POLLIN, 10'000)) return -1;
    return child.exit_code().value_or(-2);
  }
  int run(const std::string& script) {
    auto child = start(script);
    return child ? finish(*child) : -3;
  }

  GuestOptions options;
  std::vector<UniqueFd> queues;
  std::uint64_t cookie = 0;
};

TEST_P(Guest, ExitStatusAndSignalsPassThrough) {
  EXPECT_EQ(run("exit 3"), 3);
  EXPECT_EQ(cookie, 0x1234'5678'9abcULL);
  ASSERT_EQ(queues.size(), 1U);
  EXPECT_NE(::fcntl(queues[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(run("kill -TERM $$"), 128 + SIGTERM);
  EXPECT_EQ(run("kill -KILL $$"), 128 + SIGKILL);
}

TEST_P(Guest, NetworkIsThereAtOnce) {
  EXPECT_EQ(run("grep -q '^tap0.00000000.0202000A' /proc/net/route"), 0);
  EXPECT_EQ(run("grep -q '^fd000000000000000000000000000015 .* tap0$' /proc/net/if_inet6"), 0);
  // Neither tentative (0x40) nor by autoconfiguration: permanent (0x80) and nodad (0x02).
  EXPECT_EQ(run("test \"$(awk '$6==\"tap0\"{print $5}' /proc/net/if_inet6 | sort -u)\" = 82"), 0);
  EXPECT_EQ(run("grep -q '^00000000000000000000000000000000 00 .*fd000000000000000000000000000002 "
                "00000400 .* tap0$' /proc/net/ipv6_route"),
            0);
  EXPECT_EQ(run("test $(cat /proc/sys/net/ipv6/conf/tap0/accept_ra) = 0"), 0);
  EXPECT_EQ(run("set -- $(cat /proc/sys/net/ipv4/ping_group_range) && test $1 = 0"), 0);
}

TEST_P(Guest, ATapOfSeveralQueuesHasNoDisciplineBeforeThem) {
  if (::system("command -v ip >/dev/null") != 0) GTEST_SKIP() << "no program ip";
  EXPECT_NE(run("ip link show tap0 | grep -q 'qdisc noqueue'"), 0);
  options.network.several_queues = true;
  EXPECT_EQ(run("ip link show tap0 | grep -q 'qdisc noqueue'"), 0);
}

TEST_P(Guest, ResolvConfIsTheGuestsOnly) {
  if (::access("/etc/resolv.conf", F_OK) != 0) GTEST_SKIP() << "no /etc/resolv.conf to cover";
  options.files = {{"/etc/resolv.conf", "nameserver 192.0.2.53\n"}};
  EXPECT_EQ(run("grep -q 192.0.2.53 /etc/resolv.conf && test -e /etc/passwd"), 0);
  EXPECT_NE(::system("grep -q 192.0.2.53 /etc/resolv.conf"), 0);
  EXPECT_NE(::system("grep -q 'resolv.conf.*sluice' /proc/self/mountinfo"), 0);
  while (::waitpid(-1, nullptr, 0) > 0) {  // Who kept the file covered ends with the guest.
  }
}

TEST_P(Guest, SysHasTheGuestsInterfaces) {
  EXPECT_EQ(run("test \"$(ls /sys/class/net | tr '\\n' ' ')\" = 'lo tap0 ' && "
                "test -d /sys/devices/virtual/net/tap0"),
            0);
  // What is mounted in there stays.
  if (::system("mountpoint -q /sys/fs/cgroup") == 0) {
    EXPECT_EQ(run("mountpoint -q /sys/fs/cgroup"), 0);
    EXPECT_EQ(run("test -n \"$(ls /sys/fs/cgroup)\""), 0);
  }
}

// Starts the same as an ordinary user.
int as_ordinary_user(const std::function<int()>& body) {
  constexpr uid_t kSomebody = 12'345;
  return sys::in_child([&] {
    if (::geteuid() == 0 && (::setgroups(0, nullptr) != 0 || ::setgid(kSomebody + 1) != 0 ||
                             ::setuid(kSomebody) != 0)) {
      return sys::kNotPermitted;
    }
    // Changing the user made us undumpable, and our maps root's.
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return body();
  });
}

class OrdinaryGuest : public Guest {
 protected:
  // Its exit code.
  int run_as_user(const std::string& script) {
    const int status = as_ordinary_user([&] {
      options.command = {"sh", "-c", script};
      auto guest = spawn_guest(options);
      if (!guest) return sys::kNotPermitted;
      auto link = guest->await_link();
      if (!link) {
        std::fprintf(stderr, "%s\n", link.error().describe().c_str());
        return 101;
      }
      for (const sys::SetupError& warning : guest->warnings()) {
        std::fprintf(stderr, "warning: %s\n", warning.describe().c_str());
      }
      auto child = std::move(*guest).release();
      return child ? finish(*child) : 102;
    });
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
};

TEST_P(OrdinaryGuest, IsWhoItWasAndHasNoRights) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root";
  EXPECT_EQ(run_as_user("test $(id -u) = 12345 -a $(id -g) = 12346"), 0);
  EXPECT_EQ(run_as_user("grep -q '^CapEff:.0*$' /proc/self/status && "
                        "grep -q '^CapPrm:.0*$' /proc/self/status"),
            0);
  EXPECT_EQ(run_as_user("! ip link set tap0 down 2>/dev/null && ip link show tap0 | grep -q UP"),
            0);
  EXPECT_EQ(run_as_user("f=$(mktemp) && test -O $f && rm $f"), 0);
  EXPECT_EQ(run_as_user("test $(cat /proc/sys/net/ipv4/ip_unprivileged_port_start) = 0"), 0);
  EXPECT_EQ(run_as_user("test \"$(cat /proc/sys/net/ipv4/ping_group_range)\" = '12346\t12346' || "
                        "cat /proc/sys/net/ipv4/ping_group_range | grep -q 12346"),
            0);
}

TEST_P(OrdinaryGuest, IsRootWhenAsked) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root";
  options.user = GuestUser::kRoot;
  EXPECT_EQ(run_as_user("test $(id -u) = 0 -a $(id -g) = 0 && ip link set tap0 down"), 0);
}

TEST_P(OrdinaryGuest, FilesOfOursAreThereWhateverTheSystemHas) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root";
  options.files = {{"/etc/resolv.conf", "nameserver 192.0.2.53\n"},
                   {"/etc/sluice-test/new", "new\n"}};
  EXPECT_EQ(
      run_as_user("grep -q 192.0.2.53 /etc/resolv.conf && grep -q new /etc/sluice-test/new && "
                  "grep -q root /etc/passwd && test -O /etc/sluice-test/new"),
      0);
  EXPECT_NE(::access("/etc/sluice-test", F_OK), 0);
}

INSTANTIATE_TEST_SUITE_P(PidNamespaces, OrdinaryGuest,
                         ::testing::Values(PidNamespace::kShared, PidNamespace::kOwn));

TEST_P(Guest, CommandThatCannotStart) {
  options.command = {"/nonexistent/command"};
  auto missing = start_command();
  ASSERT_TRUE(missing.has_value());
  EXPECT_EQ(finish(*missing), kExitNotFound);
  ASSERT_TRUE(missing->exec_error().has_value());
  EXPECT_EQ(missing->exec_error()->describe(), "/nonexistent/command: No such file or directory");

  options.command = {"/etc/passwd"};
  auto plain = start_command();
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(finish(*plain), kExitNotExecutable);
  EXPECT_EQ(plain->exec_error()->error, EACCES);
}

TEST_P(Guest, FailedLinkTravelsToTheParent) {
  options.open_link = []() -> std::expected<OpenedLink, sys::SetupError> {
    return std::unexpected(sys::SetupError{"/dev/net/tun", ENOENT, "as root run: modprobe tun"});
  };
  auto guest = spawn_guest(options);
  ASSERT_TRUE(guest.has_value());
  const auto link = guest->await_link();
  ASSERT_FALSE(link.has_value());
  EXPECT_EQ(link.error().describe(),
            "/dev/net/tun: No such file or directory; as root run: modprobe tun");
}

TEST_P(Guest, FailedConfigurationNamesTheStep) {
  options.network.gateways = {sys::ip("198.51.100.1")};  // Not on any link.
  auto guest = spawn_guest(options);
  ASSERT_TRUE(guest.has_value());
  const auto link = guest->await_link();
  ASSERT_FALSE(link.has_value());
  EXPECT_EQ(link.error().step, "add default route by 198.51.100.1");
  EXPECT_EQ(link.error().error, ENETUNREACH);
}

TEST_P(Guest, UnreleasedGuestIsGone) {
  pid_t pid = 0;
  {
    auto guest = spawn_guest(options);
    ASSERT_TRUE(guest.has_value());
    ASSERT_TRUE(guest->await_link().has_value());
    pid = guest->pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST_P(Guest, DiesWithAParentThatDiesBeforeRelease) {
  std::array<int, 2> fds{};
  ASSERT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
  const UniqueFd out(fds[0]);
  UniqueFd in(fds[1]);
  sys::in_child([&] {
    auto guest = spawn_guest(options);
    if (!guest || !guest->await_link()) return 1;
    ::_exit(0);
  });
  in.reset();
  // Every copy of the pipe is closed once the guest is gone.
  ASSERT_TRUE(sys::wait_for(out.get(), POLLHUP, 5000));
}

TEST_P(Guest, SignalsAndPidNamespace) {
  auto child = start("trap 'exit 9' USR2; while :; do sleep 0.01; done");
  ASSERT_TRUE(child.has_value());
  // The shell may not have its trap yet; until then the signal ends it with 128 + n.
  ::usleep(300'000);
  child->send_signal(SIGUSR2);
  EXPECT_EQ(finish(*child), 9);
  EXPECT_EQ(run("test $$ -lt 5"), GetParam() == PidNamespace::kOwn ? 0 : 1);
}

// Reads the agent's messages until the first that counts.
bool is_ready(agent::GuestAgent& agent) {
  if (!sys::wait_for(agent.fd(), POLLIN, 5000)) return false;
  const auto message = agent.receive();
  if (const auto* missing = std::get_if<agent::AgentMissing>(&*message); missing != nullptr) {
    ADD_FAILURE() << missing->error.describe();
  }
  return message && std::holds_alternative<agent::AgentReady>(*message);
}

TEST_P(Guest, AgentIsNoChildOfTheCommand) {
  options.agent_channels = 1;
  // The command has nothing to wait for.
  options.command = {"sh", "-c", "wait && exec sleep 0.2"};
  auto guest = spawn_guest(options);
  ASSERT_TRUE(guest.has_value());
  const auto link = guest->await_link();  // Without it the tap is gone.
  ASSERT_TRUE(link.has_value());
  agent::GuestAgent agent = std::move(guest->take_agents().at(0));
  const pid_t pid = guest->pid();
  EXPECT_TRUE(is_ready(agent));
  auto child = std::move(*guest).release();
  ASSERT_TRUE(child.has_value());
  EXPECT_EQ(finish(*child), 0);
  if (GetParam() == PidNamespace::kOwn) {
    // It went with its init.
    ASSERT_TRUE(sys::wait_for(agent.fd(), POLLIN, 5000));
    EXPECT_TRUE(std::holds_alternative<agent::AgentGone>(agent.receive().value()));
    EXPECT_EQ(::waitpid(-1, nullptr, 0), -1);
    return;
  }
  // It is our child, and lives for as long as we talk to it.
  ASSERT_TRUE(agent.repair().has_value());
  ASSERT_TRUE(sys::wait_for(agent.fd(), POLLIN, 5000));
  EXPECT_TRUE(std::holds_alternative<agent::AgentRepaired>(agent.receive().value()));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), 0);
  agent.close();
  const pid_t ended = ::waitpid(-1, nullptr, 0);
  EXPECT_GT(ended, 0);
  EXPECT_NE(ended, pid);
}

TEST_P(Guest, AgentDiesWithUs) {
  options.agent_channels = 1;
  std::array<int, 2> fds{};
  ASSERT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
  const UniqueFd out(fds[0]);
  UniqueFd in(fds[1]);
  sys::in_child([&] {
    auto guest = spawn_guest(options);
    if (!guest) return 1;
    const auto link = guest->await_link();
    agent::GuestAgent agent = std::move(guest->take_agents().at(0));
    if (!is_ready(agent)) return 2;
    // The agent does not keep what we have open; the guest, which does, dies with us.
    ::_exit(0);
  });
  in.reset();
  ASSERT_TRUE(sys::wait_for(out.get(), POLLHUP, 5000));
}

TEST_P(Guest, AnAgentForSocketsSaysNothingByItself) {
  options.agent_channels = 1;
  options.agent_hands_over = false;
  auto guest = spawn_guest(options);
  ASSERT_TRUE(guest.has_value());
  const auto link = guest->await_link();
  ASSERT_TRUE(link.has_value());
  agent::GuestAgent agent = std::move(guest->take_agents().at(0));
  // An address that the guest has and we do not.
  const wire::Endpoint at{sys::ip("10.0.2.15"), wire::Port{80}};
  ASSERT_TRUE(agent.make_sockets(7, {.bound = at}).has_value());
  ASSERT_TRUE(sys::wait_for(agent.fd(), POLLIN, 5000));
  const auto message = agent.receive();
  ASSERT_TRUE(message && std::holds_alternative<agent::AgentSockets>(*message));
  EXPECT_EQ(std::get<agent::AgentSockets>(*message).error, 0);
  EXPECT_EQ(std::get<agent::AgentSockets>(*message).sockets.size(), 1U);
  agent.close();
  if (GetParam() == PidNamespace::kShared) EXPECT_GT(::waitpid(-1, nullptr, 0), 0);
}

TEST_P(Guest, NoAgentUnlessAsked) {
  auto guest = spawn_guest(options);
  ASSERT_TRUE(guest.has_value());
  EXPECT_TRUE(guest->take_agents().empty());
}

TEST_P(Guest, OneAgentTalksToEachWorker) {
  options.agent_channels = 3;
  options.command = {"sleep", "0.2"};
  auto guest = spawn_guest(options);
  ASSERT_TRUE(guest.has_value());
  const auto link = guest->await_link();
  ASSERT_TRUE(link.has_value());
  std::vector<agent::GuestAgent> agents = guest->take_agents();
  ASSERT_EQ(agents.size(), 3U);
  for (agent::GuestAgent& agent : agents) EXPECT_TRUE(is_ready(agent));
  auto child = std::move(*guest).release();
  ASSERT_TRUE(child.has_value());
  EXPECT_EQ(finish(*child), 0);
  if (GetParam() == PidNamespace::kOwn) return;
  // It is one process, and ours to wait for once nobody talks to it.
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), 0);
  agents.clear();
  EXPECT_GT(::waitpid(-1, nullptr, 0), 0);
  EXPECT_EQ(::waitpid(-1, nullptr, 0), -1);
}

// What `sluice run` does, in a process that the test can watch being stopped.
int serve_until_exit(GuestOptions options, const std::string& script) {
  auto signals = sys::SignalFd::open(kChildSignals);
  if (!signals) return 101;
  options.signals = signals->saved();
  options.command = {"sh", "-c", script};
  auto guest = spawn_guest(options);
  if (!guest) return 102;
  const auto link = guest->await_link();
  if (!link) return 103;
  auto child = std::move(*guest).release();
  if (!child) return 104;
  while (true) {
    std::array items{pollfd{.fd = signals->fd(), .events = POLLIN, .revents = 0},
                     pollfd{.fd = child->channel_fd(), .events = POLLIN, .revents = 0},
                     pollfd{.fd = child->pidfd(), .events = POLLIN, .revents = 0}};
    ::poll(items.data(), items.size(), -1);
    while (const auto info = signals->read()) child->on_signal(*info);
    if (child->channel_fd() >= 0) child->on_channel();
    if (const auto code = child->exit_code()) return *code;
  }
}

TEST_P(Guest, StopsAndContinuesWithTheCommand) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(serve_until_exit(options, "sh -c 'kill -STOP $PPID'; exit 4"));
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, WUNTRACED), pid);
  ASSERT_TRUE(WIFSTOPPED(status)) << "exit " << WEXITSTATUS(status);
  ::kill(pid, SIGCONT);
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 4);
}

TEST_P(Guest, SignalSentToUsReachesTheCommand) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::_exit(serve_until_exit(options,
                             "trap 'exit 6' TERM; kill -STOP $$; "
                             "while :; do sleep 0.01; done"));
  }
  int status = 0;
  // Stopped: the trap is set.
  ASSERT_EQ(::waitpid(pid, &status, WUNTRACED), pid);
  ASSERT_TRUE(WIFSTOPPED(status)) << "exit " << WEXITSTATUS(status);
  ::kill(pid, SIGTERM);
  ::kill(pid, SIGCONT);
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 6);
}

INSTANTIATE_TEST_SUITE_P(PidNamespaces, Guest,
                         ::testing::Values(PidNamespace::kShared, PidNamespace::kOwn));

}  // namespace
}  // namespace sluice::netns
