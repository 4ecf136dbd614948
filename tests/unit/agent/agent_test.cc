#include "agent/agent.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <map>

#include "unit/agent/agent_guest.h"

namespace sluice::agent {
namespace {

class Agent : public ::testing::TestWithParam<wire::IpFamily> {};

tcp_info info_of(const UniqueFd& fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  ::getsockopt(fd.get(), IPPROTO_TCP, TCP_INFO, &info, &length);
  return info;
}

// The guest sends: does the tap get it?
bool goes_by_tap(const AgentGuest& guest, const UniqueFd& ours) {
  (void)guest.frames();
  EXPECT_TRUE(send_all(ours.get(), pattern(10)));
  return !guest.frames().empty();
}

TEST_P(Agent, HandsAConnectionOver) {
  with_agent([](AgentGuest& guest) {
    const wire::TcpSnapshot remote = remote_end(GetParam());
    const UniqueFd ours = guest.connect(remote);
    ASSERT_TRUE(ours.valid());
    const UniqueFd theirs = guest.hand_over(remote, 0xfeed'0000'0000'0001);
    ASSERT_TRUE(theirs.valid());
    EXPECT_NE(::fcntl(theirs.get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(theirs.get(), F_GETFD) & FD_CLOEXEC, 0);
    const tcp_info info = info_of(theirs);
    // The kernel leaves room for time stamps, which it does not send.
    EXPECT_GE(info.tcpi_snd_mss, remote.segment_size - 12U);
    EXPECT_LE(info.tcpi_snd_mss, remote.segment_size);
    EXPECT_EQ(info.tcpi_snd_wscale, remote.send_scale);
    EXPECT_EQ(info.tcpi_rcv_wscale, remote.receive_scale);

    expect_both_ways(ours, theirs, 1 << 20);
    ::shutdown(ours.get(), SHUT_WR);
    EXPECT_TRUE(receive_all(theirs.get(), 1).empty());
    expect_transfer(theirs, ours, pattern(1 << 20));
    ::shutdown(theirs.get(), SHUT_WR);
    EXPECT_TRUE(receive_all(ours.get(), 1).empty());
    EXPECT_TRUE(guest.frames().empty());
  });
}

TEST_P(Agent, ConnectionWithoutOptions) {
  with_agent([](AgentGuest& guest) {
    wire::TcpSnapshot remote = remote_end(GetParam());
    remote.scaled = false;
    remote.send_scale = 0;
    remote.receive_scale = 0;
    remote.sack = false;
    remote.send_window = 60'000;
    remote.receive_window = 65'535;
    remote.segment_size = 536;
    const UniqueFd ours = guest.connect(remote);
    const UniqueFd theirs = guest.hand_over(remote);
    ASSERT_TRUE(theirs.valid());
    EXPECT_EQ(info_of(theirs).tcpi_options & (TCPI_OPT_SACK | TCPI_OPT_TIMESTAMPS), 0);
    expect_both_ways(ours, theirs, 1 << 20);
    EXPECT_TRUE(guest.frames().empty());
  });
}

TEST_P(Agent, LargeWindowHasItsRoom) {
  with_agent([](AgentGuest& guest) {
    wire::TcpSnapshot remote = remote_end(GetParam());
    remote.receive_window = 3 << 20;
    const UniqueFd ours = guest.connect(remote);
    const UniqueFd theirs = guest.hand_over(remote);
    ASSERT_TRUE(theirs.valid());
    int room = 0;
    socklen_t length = sizeof room;
    ::getsockopt(theirs.get(), SOL_SOCKET, SO_RCVBUF, &room, &length);
    EXPECT_GE(room, 3 << 20);
    expect_transfer(ours, theirs, pattern(8 << 20));
  });
}

TEST_P(Agent, RefusedWithoutSuchAConnection) {
  with_agent([](AgentGuest& guest) {
    const wire::TcpSnapshot remote = remote_end(GetParam());
    EXPECT_EQ(guest.refusal(remote), ETIMEDOUT);
    // Its reset of the probe came by the tap, as all of them do, and the name is free.
    EXPECT_EQ(guest.frames().size(), 1U);
    const UniqueFd ours = guest.connect(remote);
    EXPECT_TRUE(goes_by_tap(guest, ours));
  });
}

TEST_P(Agent, RefusedAfterTheDeadline) {
  with_agent([](AgentGuest& guest) {
    const wire::TcpSnapshot remote = remote_end(GetParam());
    const UniqueFd ours = guest.connect(remote);
    EXPECT_EQ(guest.refusal(remote, in_time(-std::chrono::microseconds(1))), ETIMEDOUT);
    EXPECT_EQ(info_of(ours).tcpi_segs_in, 0U);
    EXPECT_TRUE(guest.frames().empty());
    const UniqueFd theirs = guest.hand_over(remote);
    ASSERT_TRUE(theirs.valid());
    expect_both_ways(ours, theirs, 1000);
  });
}

// Whatever the moment, what is refused has not been acknowledged, also when the guest speaks just
// then.
TEST_P(Agent, DeadlineAtAnyMoment) {
  with_agent([](AgentGuest& guest) {
    std::map<int, int> outcomes;
    for (unsigned i = 0; i < 300; ++i) {
      const wire::TcpSnapshot remote = remote_end(GetParam(), i);
      const UniqueFd ours = guest.connect(remote);
      const auto after = std::chrono::microseconds(i % 150);
      ASSERT_TRUE(guest.agent.hand_over(i, remote, in_time(after)));
      const bool speaks = i % 2 == 1;
      if (speaks) {
        for (const Instant then = in_time(after / 4 * (i % 8)); in_time({}) < then;) {
        }
        ASSERT_TRUE(send_all(ours.get(), pattern(100)));
      }
      ASSERT_TRUE(sys::wait_for(guest.agent.fd(), POLLIN, 5000));
      auto message = guest.agent.receive();
      ASSERT_TRUE(message.has_value());
      if (auto* done = std::get_if<AgentHandedOver>(&*message); done != nullptr) {
        ++outcomes[0];
        if (speaks) {
          // What left by the tap comes when the guest sends it again.
          ASSERT_TRUE(sys::wait_for(done->socket.get(), POLLIN, 2000));
          EXPECT_EQ(receive_all(done->socket.get(), 100), pattern(100));
          (void)guest.frames();
        }
        expect_both_ways(ours, done->socket, 100);
      } else {
        const auto* refused = std::get_if<AgentRefused>(&*message);
        ASSERT_NE(refused, nullptr);
        ++outcomes[refused->error];
        if (!speaks) {
          EXPECT_TRUE(goes_by_tap(guest, ours));
        }
        EXPECT_EQ(info_of(ours).tcpi_bytes_acked, 0U);
        EXPECT_EQ(info_of(ours).tcpi_state, 1);
      }
    }
    EXPECT_GT(outcomes[ETIMEDOUT], 0);
    EXPECT_EQ(outcomes[0] + outcomes[ETIMEDOUT], 300);
  });
}

TEST_P(Agent, ReleasedNameGoesByTheTap) {
  with_agent([](AgentGuest& guest) {
    const wire::TcpSnapshot remote = remote_end(GetParam());
    const UniqueFd ours = guest.connect(remote);
    const UniqueFd theirs = guest.hand_over(remote);
    EXPECT_FALSE(goes_by_tap(guest, ours));
    ASSERT_TRUE(guest.agent.release(remote.peer, remote.local));
    ASSERT_TRUE(guest.agent.release(remote.peer, remote.local));  // Once too often does not matter.
    ASSERT_TRUE(guest.agent.repair());
    ASSERT_TRUE(guest.next<AgentRepaired>().has_value());
    EXPECT_TRUE(goes_by_tap(guest, ours));
  });
}

TEST_P(Agent, LostRulesAreMended) {
  with_agent([](AgentGuest& guest) {
    const wire::TcpSnapshot old_remote = remote_end(GetParam(), 1);
    const UniqueFd old_ours = guest.connect(old_remote);
    const UniqueFd old_theirs = guest.hand_over(old_remote);
    ASSERT_TRUE(delete_mark_rule(GetParam()));
    EXPECT_TRUE(goes_by_tap(guest, old_ours));

    const wire::TcpSnapshot remote = remote_end(GetParam(), 2);
    const UniqueFd ours = guest.connect(remote);
    EXPECT_EQ(guest.refusal(remote), ETIMEDOUT);
    // One frame: the guest's answer to the probe.
    EXPECT_EQ(guest.frames().size(), 1U);

    ASSERT_TRUE(guest.agent.repair());
    const auto repaired = guest.next<AgentRepaired>();
    ASSERT_TRUE(repaired.has_value());
    EXPECT_EQ(repaired->error, 0);
    EXPECT_FALSE(goes_by_tap(guest, old_ours));
    const wire::TcpSnapshot fresh = remote_end(GetParam(), 3);
    const UniqueFd fresh_ours = guest.connect(fresh);
    const UniqueFd fresh_theirs = guest.hand_over(fresh);
    ASSERT_TRUE(fresh_theirs.valid());
    expect_both_ways(fresh_ours, fresh_theirs, 1000);
  });
}

// A packet as the tap had it, without its Ethernet header.
void inject(const AgentGuest& guest, std::span<const std::uint8_t> frame) {
  const UniqueFd& fd = frame[12] == 0x08 ? guest.inject_v4 : guest.inject_v6;
  const auto packet = frame.subspan(14);
  EXPECT_EQ(::send(fd.get(), packet.data(), packet.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(packet.size()));
}

TEST_P(Agent, InjectedPacketsReachTheSocket) {
  with_agent([](AgentGuest& guest) {
    const wire::TcpSnapshot remote = remote_end(GetParam());
    const UniqueFd ours = guest.connect(remote);
    // On its way to us when the connection is handed over.
    ASSERT_TRUE(send_all(ours.get(), pattern(400)));
    const auto sent = guest.frames();
    ASSERT_EQ(sent.size(), 1U);
    const UniqueFd theirs = guest.hand_over(remote);
    ASSERT_TRUE(theirs.valid());
    inject(guest, sent[0]);
    // Well before the guest sends it again.
    ASSERT_TRUE(sys::wait_for(theirs.get(), POLLIN, 150));
    EXPECT_EQ(receive_all(theirs.get(), 400), pattern(400));
    expect_both_ways(ours, theirs, 100'000);
    EXPECT_TRUE(guest.frames().empty());
  });
}

// Over the loopback it would overtake what came by the tap before.
TEST_P(Agent, ResetsOfTheGuestGoByTheTap) {
  with_agent([](AgentGuest& guest) {
    const wire::TcpSnapshot remote = remote_end(GetParam());
    UniqueFd ours = guest.connect(remote);
    ASSERT_TRUE(send_all(ours.get(), pattern(300)));
    const auto sent = guest.frames();
    ASSERT_EQ(sent.size(), 1U);
    const UniqueFd theirs = guest.hand_over(remote);
    ASSERT_TRUE(theirs.valid());
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ASSERT_EQ(::setsockopt(ours.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    ours.reset();
    const auto reset = guest.frames();
    ASSERT_EQ(reset.size(), 1U);
    EXPECT_EQ(info_of(theirs).tcpi_state, 1);
    inject(guest, sent[0]);
    inject(guest, reset[0]);
    EXPECT_EQ(receive_all(theirs.get(), 300), pattern(300));
    char byte = 0;
    EXPECT_EQ(::recv(theirs.get(), &byte, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, ECONNRESET);
  });
}

// The guest may have had its acknowledgement, so the bytes are for whoever reads them, and the
// error behind them too.
TEST_P(Agent, BytesInFrontOfAResetArePassedOn) {
  with_agent([](AgentGuest& guest) {
    // The answers to its probes go by the tap, so the agent waits, and it can be stopped meanwhile.
    ASSERT_TRUE(delete_mark_rule(GetParam()));
    bool in_time = false;
    for (unsigned i = 0; i < 50 && !in_time; ++i) {
      const wire::TcpSnapshot remote = remote_end(GetParam(), i);
      UniqueFd ours = guest.connect(remote);
      (void)guest.frames();
      ASSERT_TRUE(guest.agent.hand_over(i, remote, soon()));
      ASSERT_TRUE(sys::wait_for(guest.tap.get(), POLLIN, 5000));
      ASSERT_EQ(::kill(guest.agent_pid, SIGSTOP), 0);
      ASSERT_EQ(::waitpid(guest.agent_pid, nullptr, WUNTRACED), guest.agent_pid);
      in_time = !sys::wait_for(guest.agent.fd(), POLLIN, 0);
      if (in_time) {
        ASSERT_TRUE(send_all(ours.get(), pattern(400)));
        ours.reset();  // It lingers for no time.
        for (const auto& frame : guest.frames()) inject(guest, frame);
      }
      ASSERT_EQ(::kill(guest.agent_pid, SIGCONT), 0);
      if (!in_time) {
        EXPECT_EQ(guest.next<AgentRefused>()->error, ETIMEDOUT);
        continue;
      }
      const auto done = guest.next<AgentHandedOver>();
      ASSERT_TRUE(done.has_value());
      EXPECT_EQ(receive_all(done->socket.get(), 400), pattern(400));
      EXPECT_EQ(info_of(done->socket).tcpi_state, 7);  // Nothing comes behind them.
    }
    EXPECT_TRUE(in_time);
  });
}

TEST_P(Agent, InjectedPacketsNeverLeave) {
  with_agent([](AgentGuest& guest) {
    const wire::TcpSnapshot remote = remote_end(GetParam());
    const UniqueFd ours = guest.connect(remote);
    ASSERT_TRUE(send_all(ours.get(), pattern(400)));
    const auto sent = guest.frames();
    ASSERT_EQ(sent.size(), 1U);
    const UniqueFd theirs = guest.hand_over(remote);
    ASSERT_TRUE(theirs.valid());
    ASSERT_TRUE(delete_mark_rule(GetParam()));
    inject(guest, sent[0]);
    EXPECT_TRUE(sys::wait_for(theirs.get(), POLLIN, 150));
    (void)guest.frames();  // The guest's answer to our acknowledgement: there is no rule.

    // For nobody.
    ASSERT_TRUE(guest.agent.release(remote.peer, remote.local));
    const wire::TcpSnapshot other = remote_end(GetParam(), 1);
    const UniqueFd other_ours = guest.connect(other);
    ASSERT_TRUE(send_all(other_ours.get(), pattern(400)));
    const auto other_sent = guest.frames();
    ASSERT_EQ(other_sent.size(), 1U);
    inject(guest, other_sent[0]);
    EXPECT_TRUE(guest.frames().empty());
  });
}

TEST_P(Agent, ManyInARow) {
  with_agent([](AgentGuest& guest) {
    for (unsigned i = 0; i < 1000; ++i) {
      const wire::TcpSnapshot remote = remote_end(GetParam(), i);
      const UniqueFd ours = guest.connect(remote);
      const UniqueFd theirs = guest.hand_over(remote, i);
      ASSERT_TRUE(theirs.valid()) << i;
      expect_both_ways(ours, theirs, 10);
      ASSERT_TRUE(guest.agent.release(remote.peer, remote.local));
    }
  });
}

TEST_P(Agent, ManyAtOnce) {
  with_agent([](AgentGuest& guest) {
    constexpr unsigned kMany = 100;
    std::vector<UniqueFd> ours;
    for (unsigned i = 0; i < kMany; ++i) {
      // Every tenth is not there.
      ours.push_back(i % 10 == 3 ? UniqueFd() : guest.connect(remote_end(GetParam(), i)));
    }
    for (unsigned i = 0; i < kMany; ++i) {
      ASSERT_TRUE(guest.agent.hand_over(i, remote_end(GetParam(), i), soon()));
    }
    for (unsigned answers = 0; answers < kMany; ++answers) {
      ASSERT_TRUE(sys::wait_for(guest.agent.fd(), POLLIN, 5000));
      auto message = guest.agent.receive();
      ASSERT_TRUE(message.has_value());
      if (const auto* refused = std::get_if<AgentRefused>(&*message); refused != nullptr) {
        EXPECT_EQ(refused->tag % 10, 3U);
        EXPECT_EQ(refused->error, ETIMEDOUT);
        continue;
      }
      auto* done = std::get_if<AgentHandedOver>(&*message);
      ASSERT_NE(done, nullptr);
      expect_both_ways(ours[done->tag], done->socket, 10);
    }
    EXPECT_EQ(guest.frames().size(), kMany / 10);  // Their RSTs.
  });
}

INSTANTIATE_TEST_SUITE_P(Families, Agent, ::testing::Values(kV4, kV6));

}  // namespace
}  // namespace sluice::agent
