#include "agent/agent_process.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <array>
#include <fstream>
#include <map>
#include <vector>

#include "sandbox/capabilities.h"
#include "sandbox/seccomp_filter.h"
#include "sys/sockaddr.h"
#include "unit/agent/agent_guest.h"

namespace sluice::agent {
namespace {

TEST(AgentProcess, EndsWithTheChannel) {
  with_agent([](AgentGuest& guest) {
    guest.agent.close();
    int status = -1;
    EXPECT_EQ(::waitpid(guest.agent_pid, &status, 0), guest.agent_pid);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(guest.agent.release({}, {}),
              std::unexpected(sys::SysError{sys::SysOp::kSend, ENOTCONN}));
  });
}

TEST(AgentProcess, HurriesWhenAwaited) {
  in_guest([](AgentGuest& guest) {
    guest.start_agent();
    EXPECT_TRUE(std::holds_alternative<AgentReady>(guest.agent.await(std::chrono::seconds(5))));
    EXPECT_TRUE(std::holds_alternative<AgentGone>(guest.agent.await(std::chrono::milliseconds(1))));
    // It does not take the word for an order.
    ASSERT_TRUE(guest.agent.repair());
    EXPECT_TRUE(guest.next<AgentRepaired>().has_value());
  });
}

TEST(AgentProcess, LeavesAGuestThatIsSoonOverAlone) {
  in_guest([](AgentGuest& guest) {
    guest.start_agent();
    guest.agent.close();
    int status = -1;
    EXPECT_EQ(::waitpid(guest.agent_pid, &status, 0), guest.agent_pid);
    EXPECT_EQ(status, 0);
    EXPECT_FALSE(delete_mark_rule(kV4));
  });
}

TEST(AgentProcess, IsGoneOnce) {
  with_agent([](AgentGuest& guest) {
    ::kill(guest.agent_pid, SIGKILL);
    EXPECT_TRUE(guest.next<AgentGone>().has_value());
    EXPECT_LT(guest.agent.fd(), 0);
    EXPECT_FALSE(guest.agent.receive().has_value());
    EXPECT_FALSE(guest.agent.hand_over(1, remote_end(kV4), soon()).has_value());
  });
}

TEST(AgentProcess, IsDeafToSignals) {
  with_agent([](AgentGuest& guest) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGQUIT, SIGUSR1, SIGPIPE}) {
      ::kill(guest.agent_pid, signal);
    }
    ASSERT_TRUE(guest.agent.repair());
    EXPECT_TRUE(guest.next<AgentRepaired>().has_value());
  });
}

TEST(AgentProcess, SaysWhatIsMissing) {
  in_guest([](AgentGuest& guest) {
    guest.start_agent("tap9");
    ASSERT_TRUE(sys::wait_for(guest.agent.fd(), POLLIN, 5000));
    const auto message = guest.agent.receive();
    ASSERT_TRUE(message.has_value());
    const auto* missing = std::get_if<AgentMissing>(&*message);
    ASSERT_NE(missing, nullptr);
    EXPECT_EQ(missing->error.describe(), "find interface tap9: No such device");

    ASSERT_TRUE(sandbox::drop_privileges());
    guest.start_agent();
    ASSERT_TRUE(sys::wait_for(guest.agent.fd(), POLLIN, 5000));
    const auto weak = guest.agent.receive();
    ASSERT_TRUE(weak.has_value());
    ASSERT_TRUE(std::holds_alternative<AgentMissing>(*weak));
    EXPECT_EQ(std::get<AgentMissing>(*weak).error.step, "TCP_REPAIR with IP_TRANSPARENT");
    EXPECT_EQ(std::get<AgentMissing>(*weak).error.error, EPERM);
  });
}

// What /proc says of the agent.
std::map<std::string, std::string> status_of(const AgentGuest& guest) {
  std::map<std::string, std::string> fields;
  std::ifstream file("/proc/" + std::to_string(guest.agent_pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(":\t");
    if (colon != std::string::npos) fields[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return fields;
}

void expect_confined(const AgentGuest& guest, const std::string& capabilities) {
  auto fields = status_of(guest);
  EXPECT_EQ(fields["Name"], "sluice-agent");
  EXPECT_EQ(fields["CapEff"], capabilities);
  EXPECT_EQ(fields["CapPrm"], capabilities);
  EXPECT_EQ(fields["CapBnd"], "0000000000000000");
  EXPECT_EQ(fields["NoNewPrivs"], "1");
  const bool filtered = sandbox::seccomp_mode_from_environment() == sandbox::SeccompMode::kKill;
  EXPECT_EQ(fields["Seccomp"], filtered ? "2" : "0");
}

constexpr const char* kNetworkAndPorts = "0000000000003400";
constexpr const char* kPorts = "0000000000000400";

TEST(AgentProcess, KeepsLittle) {
  with_agent([](AgentGuest& guest) { expect_confined(guest, kNetworkAndPorts); });
}

wire::Endpoint at_loopback(wire::IpFamily family, std::uint16_t port) {
  return {sys::loopback_of(family), wire::Port{port}};
}

// Whether somebody who is in the guest gets there.
bool can_connect(const wire::Endpoint& target) {
  const UniqueFd fd(::socket(sys::address_family(target.address.family()),
                             SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
  const sys::SocketAddress address = sys::to_sockaddr(target);
  return ::connect(fd.get(), address.get(), address.length) == 0;
}

// Listeners of both families, also at a port that not everybody may take, a connection to one of
// them, and datagrams.
void expect_sockets(AgentGuest& guest) {
  for (const wire::IpFamily family : {kV4, kV6}) {
    const wire::Endpoint web = at_loopback(family, 80);
    const AgentGuest::Made server = guest.socket({.family = family, .bound = web}, 3);
    ASSERT_EQ(server.error, 0);
    EXPECT_TRUE(can_connect(web));
    EXPECT_TRUE(sys::wait_for(server.socket.get(), POLLIN));
    EXPECT_EQ(guest.socket({.family = family, .bound = web}, 4).error, EADDRINUSE);

    const AgentGuest::Made client = guest.socket({.family = family}, 5);
    ASSERT_EQ(client.error, 0);
    const sys::SocketAddress target = sys::to_sockaddr(web);
    const int begun = ::connect(client.socket.get(), target.get(), target.length);
    EXPECT_TRUE(begun == 0 || errno == EINPROGRESS);
    EXPECT_TRUE(sys::wait_for(client.socket.get(), POLLOUT));

    const wire::Endpoint names = at_loopback(family, 53);
    const AgentGuest::Made receiver =
        guest.socket({.family = family, .datagrams = true, .bound = names}, 6);
    const AgentGuest::Made sender = guest.socket({.family = family, .datagrams = true}, 7);
    ASSERT_TRUE(receiver.error == 0 && sender.error == 0);
    const sys::SocketAddress address = sys::to_sockaddr(names);
    EXPECT_EQ(::sendto(sender.socket.get(), "word", 4, 0, address.get(), address.length), 4);
    EXPECT_TRUE(sys::wait_for(receiver.socket.get(), POLLIN));
    EXPECT_EQ(guest.socket({.family = family, .datagrams = true, .bound = names}, 8).error,
              EADDRINUSE);
  }
}

TEST(AgentProcess, MakesSocketsBesideHandOvers) {
  with_agent([](AgentGuest& guest) {
    expect_sockets(guest);
    const wire::TcpSnapshot remote = remote_end(kV4);
    const UniqueFd ours = guest.connect(remote);
    const UniqueFd theirs = guest.hand_over(remote);
    ASSERT_TRUE(theirs.valid());
    expect_both_ways(ours, theirs, 1000);
    EXPECT_EQ(guest.socket({}).error, 0);
  });
}

TEST(AgentProcess, MakesSocketsOnlyWhereNothingElseIsWanted) {
  in_guest([](AgentGuest& guest) {
    guest.hands_over = false;
    guest.start_agent("tap9");  // It does not look for it.
    expect_sockets(guest);
    expect_confined(guest, kPorts);
    EXPECT_FALSE(delete_mark_rule(kV4));
    // What it is not for is refused, not forgotten.
    EXPECT_EQ(guest.refusal(remote_end(kV4)), EOPNOTSUPP);
    ASSERT_TRUE(guest.agent.release(remote_end(kV4).peer, remote_end(kV4).local));
    ASSERT_TRUE(guest.agent.repair());
    EXPECT_EQ(guest.next<AgentRepaired>()->error, EOPNOTSUPP);
    EXPECT_FALSE(guest.agent.receive().has_value());
    guest.agent.close();
    int status = -1;
    EXPECT_EQ(::waitpid(guest.agent_pid, &status, 0), guest.agent_pid);
    EXPECT_EQ(status, 0);
  });
}

TEST(AgentProcess, MakesSocketsWhereTheFastPathIsMissing) {
  in_guest([](AgentGuest& guest) {
    guest.start_agent("tap9");
    ASSERT_TRUE(std::holds_alternative<AgentMissing>(guest.agent.await(std::chrono::seconds(5))));
    expect_sockets(guest);
    expect_confined(guest, kPorts);
  });
}

// Before it begins by itself; that it is ready is told first.
TEST(AgentProcess, ASocketThatIsAskedForWakesIt) {
  in_guest([](AgentGuest& guest) {
    guest.start_agent();
    ASSERT_TRUE(guest.agent.make_sockets(1, {}));
    EXPECT_TRUE(guest.next<AgentReady>().has_value());
    EXPECT_EQ(guest.next<AgentSockets>()->error, 0);
  });
}

// An agent with two workers, each of which has the other end of a connection of its own.
class Workers {
 public:
  void start(AgentGuest& guest) {
    guest.start_agent_of({&first, &second});
    for (GuestAgent* const worker : {&first, &second}) {
      auto ready = AgentGuest::next<AgentReady>(*worker);
      ASSERT_TRUE(ready.has_value());
      EXPECT_TRUE(ready->inject_v4.valid() && ready->inject_v6.valid());
      inject.push_back(std::move(*ready));
    }
  }
  [[nodiscard]] static UniqueFd hand_over(GuestAgent& worker, const wire::TcpSnapshot& remote) {
    EXPECT_TRUE(worker.hand_over(1, remote, soon()));
    auto done = AgentGuest::next<AgentHandedOver>(worker);
    return done ? std::move(done->socket) : UniqueFd();
  }

  GuestAgent first;
  GuestAgent second;
  std::vector<AgentReady> inject;  // By worker.
};

void with_workers(const std::function<void(AgentGuest&, Workers&)>& body) {
  in_guest([&](AgentGuest& guest) {
    Workers workers;
    workers.start(guest);
    if (!::testing::Test::HasFailure()) body(guest, workers);
  });
}

TEST(AgentProcess, EachWorkerIsAnsweredItsOwn) {
  with_workers([](AgentGuest& guest, Workers& workers) {
    const std::array remotes = {remote_end(kV4, 1), remote_end(kV6, 2)};
    const UniqueFd ours = guest.connect(remotes[0]);
    const UniqueFd other = guest.connect(remotes[1]);
    // The same tag means another thing to each.
    ASSERT_TRUE(workers.first.hand_over(5, remotes[0], soon()));
    ASSERT_TRUE(workers.second.hand_over(5, remotes[1], soon()));
    ASSERT_TRUE(workers.second.hand_over(6, remote_end(kV4, 3), soon()));  // Nobody's.
    const auto done = AgentGuest::next<AgentHandedOver>(workers.first);
    ASSERT_TRUE(done.has_value());
    expect_both_ways(ours, done->socket, 100'000);
    const auto others = AgentGuest::next<AgentHandedOver>(workers.second);
    ASSERT_TRUE(others.has_value());
    EXPECT_EQ(others->tag, 5U);
    expect_both_ways(other, others->socket, 100'000);
    EXPECT_EQ(AgentGuest::next<AgentRefused>(workers.second)->tag, 6U);
    EXPECT_FALSE(workers.first.receive().has_value());
  });
}

TEST(AgentProcess, AnyWorkersRepairPutsBackTheNamesOfAll) {
  with_workers([](AgentGuest& guest, Workers& workers) {
    const std::array remotes = {remote_end(kV4, 1), remote_end(kV4, 2)};
    const UniqueFd ours = guest.connect(remotes[0]);
    const UniqueFd other = guest.connect(remotes[1]);
    const UniqueFd theirs = Workers::hand_over(workers.first, remotes[0]);
    const UniqueFd others = Workers::hand_over(workers.second, remotes[1]);
    ASSERT_TRUE(theirs.valid() && others.valid());
    ASSERT_TRUE(delete_mark_rule(kV4));
    ASSERT_TRUE(workers.second.repair());
    EXPECT_EQ(AgentGuest::next<AgentRepaired>(workers.second)->error, 0);
    expect_both_ways(ours, theirs, 1000);
    expect_both_ways(other, others, 1000);
    EXPECT_TRUE(guest.frames().empty());
    EXPECT_FALSE(workers.first.receive().has_value());
  });
}

TEST(AgentProcess, AWorkerThatIsGoneLeavesTheOthersTheirAgent) {
  with_workers([](AgentGuest& guest, Workers& workers) {
    const std::array remotes = {remote_end(kV4, 1), remote_end(kV4, 2)};
    const UniqueFd ours = guest.connect(remotes[0]);
    const UniqueFd theirs = Workers::hand_over(workers.first, remotes[0]);
    ASSERT_TRUE(theirs.valid());
    // Nobody is left to take one that is on its way.
    const wire::TcpSnapshot late = remote_end(kV4, 3);
    const UniqueFd late_ours = guest.connect(late);
    ASSERT_TRUE(workers.first.hand_over(2, late, soon()));
    workers.first.close();

    const UniqueFd other = guest.connect(remotes[1]);
    const UniqueFd others = Workers::hand_over(workers.second, remotes[1]);
    ASSERT_TRUE(others.valid());
    expect_both_ways(other, others, 1000);
    // Whoever carries what the first one had handed over is none of the agent's business.
    expect_both_ways(ours, theirs, 1000);
    ASSERT_TRUE(workers.second.repair());
    EXPECT_TRUE(AgentGuest::next<AgentRepaired>(workers.second).has_value());

    workers.second.close();
    int status = -1;
    EXPECT_EQ(::waitpid(guest.agent_pid, &status, 0), guest.agent_pid);
    EXPECT_EQ(status, 0);
  });
}

TEST(AgentProcess, EveryWorkerHearsWhatIsMissing) {
  in_guest([](AgentGuest& guest) {
    Workers workers;
    guest.start_agent_of({&workers.first, &workers.second}, "tap9");
    for (GuestAgent* const worker : {&workers.first, &workers.second}) {
      ASSERT_TRUE(sys::wait_for(worker->fd(), POLLIN, 5000));
      const auto message = worker->receive();
      ASSERT_TRUE(message.has_value());
      EXPECT_TRUE(std::holds_alternative<AgentMissing>(*message));
    }
  });
}

TEST(AgentProcess, EachWorkerHasItsOwnSockets) {
  in_guest([](AgentGuest& guest) {
    Workers workers;
    guest.hands_over = false;
    guest.start_agent_of({&workers.first, &workers.second});
    ASSERT_TRUE(workers.first.make_sockets(5, {}));
    ASSERT_TRUE(workers.second.make_sockets(5, {.family = kV6}));
    EXPECT_TRUE(AgentGuest::next<AgentSockets>(workers.first)->sockets.size() == 1);
    workers.first.close();
    EXPECT_TRUE(AgentGuest::next<AgentSockets>(workers.second)->sockets.size() == 1);
    ASSERT_TRUE(workers.second.make_sockets(6, {}));
    EXPECT_EQ(AgentGuest::next<AgentSockets>(workers.second)->tag, 6U);
  });
}

// In a user namespace, where root of the guest is nobody outside.
TEST(AgentProcess, WorksForNobody) {
  if (::geteuid() != 0) GTEST_SKIP() << "the other tests did without privileges";
  const int status = sys::in_child([] {
    if (::setresgid(65'534, 65'534, 65'534) != 0 || ::setresuid(65'534, 65'534, 65'534) != 0) {
      return 3;
    }
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // To write our own id maps.
    with_agent([](AgentGuest& guest) {
      for (const wire::IpFamily family : {kV4, kV6}) {
        wire::TcpSnapshot remote = remote_end(family);
        remote.receive_window = 3 << 20;
        const UniqueFd ours = guest.connect(remote);
        const UniqueFd theirs = guest.hand_over(remote);
        ASSERT_TRUE(theirs.valid());
        expect_both_ways(ours, theirs, 4 << 20);
        ASSERT_TRUE(guest.agent.release(remote.peer, remote.local));
      }
    });
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace sluice::agent
