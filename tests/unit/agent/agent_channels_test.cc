#include "agent/agent_channels.h"

#include <gtest/gtest.h>

#include <chrono>

#include "unit/sys/loopback.h"

namespace sluice::agent {
namespace {

using std::chrono::milliseconds;

class AgentChannelsTest : public ::testing::Test {
 protected:
  void make(std::size_t workers) {
    std::vector<UniqueFd> theirs;
    for (std::size_t i = 0; i < workers; ++i) {
      auto ends = GuestAgent::pair();
      ASSERT_TRUE(ends.has_value());
      agents.push_back(std::move(ends->first));
      theirs.push_back(std::move(ends->second));
    }
    channels.emplace(std::move(theirs));
  }
  void ask(std::size_t worker, std::uint64_t tag) {
    ASSERT_TRUE(agents[worker].hand_over(tag, {}, Instant{}).has_value());
  }
  // The worker and the tag of each hand-over that is asked for.
  using Asked = std::vector<std::pair<std::size_t, std::uint64_t>>;
  Asked receive(Duration at_most = milliseconds(0)) {
    Asked out;
    const auto orders = channels->receive(at_most);
    if (!orders) return {{99, 99}};
    for (const auto& [worker, order] : *orders) {
      const auto* asked = std::get_if<HandOverOrder>(&order);
      out.emplace_back(worker, asked == nullptr ? 0 : asked->tag);
    }
    return out;
  }

  std::vector<GuestAgent> agents;
  std::optional<AgentChannels> channels;
};

TEST_F(AgentChannelsTest, OrdersComeWithWhoAsked) {
  make(3);
  ask(2, 20);
  ask(0, 1);
  ask(2, 21);
  EXPECT_EQ(receive(kForever), (Asked{{0, 1}, {2, 20}, {2, 21}}));
  EXPECT_EQ(receive(), Asked{});
  ask(1, 10);
  EXPECT_EQ(receive(milliseconds(5000)), (Asked{{1, 10}}));
}

TEST_F(AgentChannelsTest, AnswersGoToWhoAsked) {
  make(2);
  ASSERT_TRUE(send_refused(channels->fd(1), 7, EPERM).has_value());
  EXPECT_FALSE(agents[0].receive().has_value());
  const auto message = agents[1].receive();
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(std::get<AgentRefused>(*message).tag, 7U);
}

TEST_F(AgentChannelsTest, WhoeverGoesLeavesTheOthers) {
  make(3);
  ask(1, 10);
  agents[1].close();
  // What it had asked for is asked for still.
  EXPECT_EQ(receive(kForever), (Asked{{1, 10}}));
  EXPECT_EQ(receive(kForever), Asked{});
  EXPECT_LT(channels->fd(1), 0);
  EXPECT_FALSE(send_refused(channels->fd(1), 10, EPERM).has_value());
  ask(2, 20);
  EXPECT_EQ(receive(kForever), (Asked{{2, 20}}));
  agents[0].close();
  EXPECT_EQ(receive(kForever), Asked{});
  // The last one.
  ask(2, 21);
  EXPECT_EQ(receive(kForever), (Asked{{2, 21}}));
  EXPECT_EQ(receive(milliseconds(1)), Asked{});
  agents[2].close();
  EXPECT_FALSE(channels->receive(kForever).has_value());
  EXPECT_FALSE(channels->receive(kForever).has_value());
}

TEST_F(AgentChannelsTest, AllGoneAtOnce) {
  make(2);
  ask(0, 1);
  agents.clear();
  EXPECT_EQ(receive(kForever), (Asked{{0, 1}}));
  EXPECT_FALSE(channels->receive(kForever).has_value());
}

TEST_F(AgentChannelsTest, NewsAreOrdersAndEnds) {
  make(2);
  EXPECT_TRUE(channels->await_news(milliseconds(0)));
  ask(1, 10);
  EXPECT_TRUE(channels->await_news(kForever));
  EXPECT_EQ(receive(kForever), (Asked{{1, 10}}));
  agents[1].close();
  EXPECT_TRUE(channels->await_news(kForever));
  EXPECT_LT(channels->fd(1), 0);
  agents[0].close();
  EXPECT_FALSE(channels->await_news(kForever));
}

// No worker waits behind more of another's orders than are taken at once.
TEST_F(AgentChannelsTest, EachHasItsTurn) {
  make(2);
  for (std::uint64_t tag = 0; tag < kMostOrders + 8; ++tag) ask(0, tag);
  ask(1, 100);
  const Asked asked = receive(kForever);
  EXPECT_EQ(asked.size(), kMostOrders + 1);
  EXPECT_EQ(asked.back(), std::make_pair(std::size_t{1}, std::uint64_t{100}));
  EXPECT_EQ(receive(kForever).size(), 8U);
}

}  // namespace
}  // namespace sluice::agent
