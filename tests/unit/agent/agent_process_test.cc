#include "agent/agent_process.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <fstream>
#include <map>

#include "agent_guest.h"
#include "sandbox/capabilities.h"
#include "sandbox/seccomp_filter.h"

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
    EXPECT_TRUE(guest.next<AgentGone>().has_value());

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

TEST(AgentProcess, KeepsLittle) {
  with_agent([](AgentGuest& guest) {
    const std::string folder = "/proc/" + std::to_string(guest.agent_pid);
    std::map<std::string, std::string> fields;
    std::ifstream file(folder + "/status");
    for (std::string line; std::getline(file, line);) {
      const std::size_t colon = line.find(":\t");
      if (colon != std::string::npos) fields[line.substr(0, colon)] = line.substr(colon + 2);
    }
    EXPECT_EQ(fields["Name"], "sluice-agent");
    EXPECT_EQ(fields["CapEff"], "0000000000003400");
    EXPECT_EQ(fields["CapPrm"], "0000000000003400");
    EXPECT_EQ(fields["CapBnd"], "0000000000000000");
    EXPECT_EQ(fields["NoNewPrivs"], "1");
    const bool filtered = sandbox::seccomp_mode_from_environment() == sandbox::SeccompMode::kKill;
    EXPECT_EQ(fields["Seccomp"], filtered ? "2" : "0");
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
