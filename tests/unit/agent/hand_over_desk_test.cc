// The desk without a process around it; agent_test.cc has the connections themselves.
#include "agent/hand_over_desk.h"

#include <gtest/gtest.h>

#include <chrono>

#include "unit/agent/agent_guest.h"

namespace sluice::agent {
namespace {

using std::chrono::milliseconds;

class Desk {
 public:
  explicit Desk(Divert divert) : desk(channels, std::move(divert)) {}

  // A turn of the process, as run_guest_agent() takes it.
  bool turn() {
    const auto orders = channels.receive(desk.patience());
    if (orders) desk.turn(*orders);
    return orders.has_value();
  }
  // Turns until it has answered.
  template <typename T>
  std::optional<T> next() {
    for (int turns = 0; turns < 10'000; ++turns) {
      if (auto message = agent.receive()) {
        T* const wanted = std::get_if<T>(&*message);
        return wanted == nullptr ? std::nullopt : std::optional<T>(std::move(*wanted));
      }
      if (!turn()) return std::nullopt;
    }
    return std::nullopt;
  }

 private:
  static std::vector<UniqueFd> only(UniqueFd channel) {
    std::vector<UniqueFd> out;
    out.push_back(std::move(channel));
    return out;
  }
  std::pair<GuestAgent, UniqueFd> ends_ = GuestAgent::pair().value();

 public:
  GuestAgent agent = std::move(ends_.first);
  AgentChannels channels{only(std::move(ends_.second))};
  HandOverDesk desk;
};

void with_desk(const std::function<void(AgentGuest&, Desk&)>& body) {
  in_guest([&](AgentGuest& guest) {
    constexpr std::array kBoth = {kV4, kV6};
    auto divert = Divert::set_up(netlink::interface_index(AgentGuest::kTap).value(), kBoth);
    ASSERT_TRUE(divert.has_value()) << divert.error().describe();
    Desk desk(std::move(*divert));
    body(guest, desk);
  });
}

TEST(HandOverDesk, HandsOverAndTakesBack) {
  with_desk([](AgentGuest& guest, Desk& desk) {
    const wire::TcpSnapshot remote = remote_end(kV4);
    const UniqueFd ours = guest.connect(remote);
    ASSERT_TRUE(desk.agent.hand_over(1, remote, soon()));
    const auto done = desk.next<AgentHandedOver>();
    ASSERT_TRUE(done.has_value());
    expect_both_ways(ours, done->socket, 1000);
    ASSERT_TRUE(desk.agent.release(remote.peer, remote.local));
    ASSERT_TRUE(desk.turn());
    // A connection that nobody has does not answer.
    ASSERT_TRUE(desk.agent.hand_over(2, remote_end(kV6), soon()));
    const auto refused = desk.next<AgentRefused>();
    ASSERT_TRUE(refused.has_value());
    EXPECT_EQ(refused->tag, 2U);
    EXPECT_EQ(refused->error, ETIMEDOUT);
  });
}

TEST(HandOverDesk, IsImpatientWithWorkAlone) {
  with_desk([](AgentGuest&, Desk& desk) {
    EXPECT_GT(desk.desk.patience(), milliseconds(1000));
    ASSERT_TRUE(desk.agent.hand_over(1, remote_end(kV4), soon()));
    ASSERT_TRUE(desk.turn());
    EXPECT_LT(desk.desk.patience(), milliseconds(1000));
    ASSERT_TRUE(desk.next<AgentRefused>().has_value());
    // Its socket is kept for a moment.
    EXPECT_LT(desk.desk.patience(), milliseconds(1000));
  });
}

// Whatever else the process does in the meantime.
TEST(HandOverDesk, RestsWithoutWorkOfItsOwn) {
  with_desk([](AgentGuest&, Desk& desk) {
    const Instant end = in_time(milliseconds(2100));
    while (in_time(Duration(0)) < end) {
      desk.desk.turn({});
      ::usleep(50'000);
    }
    EXPECT_EQ(desk.desk.patience(), kForever);
    ASSERT_TRUE(desk.agent.repair());
    EXPECT_EQ(desk.next<AgentRepaired>()->error, 0);
    EXPECT_LT(desk.desk.patience(), kForever);
  });
}

TEST(HandOverDesk, LeavesNothingBehind) {
  with_desk([](AgentGuest&, Desk& desk) {
    desk.desk.tidy_up();
    EXPECT_FALSE(delete_mark_rule(kV4));
    EXPECT_FALSE(delete_mark_rule(kV6));
  });
}

}  // namespace
}  // namespace sluice::agent
