// How many system calls the relay makes: the price of a message and of a connection.
#include <gtest/gtest.h>

#include "unit/relay/pass_kernel.h"
#include "unit/relay/rig.h"

namespace sluice::relay {
namespace {

using Calls = std::map<std::string, int>;

TEST(RelayCalls, APingPongCostsOneRecvAndOneSendEachWay) {
  CountingKernel kernel;
  Rig rig(kernel);
  rig.settle();
  kernel.calls.clear();
  constexpr int kRounds = 100;
  for (int i = 0; i < kRounds; ++i) {
    Received request;
    ASSERT_TRUE(send_all(rig.client.get(), "question"));
    ASSERT_TRUE(rig.turn_until([&] {
      request.read_from(rig.target.get());
      return request.bytes.size() == 8;
    }));
    Received answer;
    ASSERT_TRUE(send_all(rig.target.get(), "answer"));
    ASSERT_TRUE(rig.turn_until([&] {
      answer.read_from(rig.client.get());
      return answer.bytes.size() == 6;
    }));
  }
  EXPECT_EQ(kernel.calls, (Calls{{"recv", 2 * kRounds}, {"send", 2 * kRounds}}));
  EXPECT_TRUE(rig.nothing_held());
}

// Connect, request, response, close: once both sockets are connected. The request is there before
// the first pump().
TEST(RelayCalls, ACycleThatTheTargetClosesCostsEight) {
  CountingKernel kernel;
  Rig rig(kernel);
  ASSERT_TRUE(send_all(rig.client.get(), "question"));
  Received request;
  ASSERT_TRUE(rig.turn_until([&] {
    request.read_from(rig.target.get());
    return request.bytes.size() == 8;
  }));
  // The answer and the FIN come together, so the FIN is known without a recv of its own.
  ASSERT_TRUE(send_all(rig.target.get(), "answer"));
  rig.target.reset();
  Received answer;
  ASSERT_TRUE(rig.turn_until([&] {
    answer.read_from(rig.client.get());
    return answer.end.has_value();
  }));
  EXPECT_EQ(answer.bytes, "answer");
  rig.client.reset();
  ASSERT_TRUE(rig.ended());
  EXPECT_EQ(kernel.calls, (Calls{{"recv", 3}, {"send", 2}, {"shutdown", 1}, {"close", 2}}));
  EXPECT_EQ(rig.pair.end(), PairEnd::kTargetClosed);
}

TEST(RelayCalls, ACycleThatTheClientClosesCostsNine) {
  CountingKernel kernel;
  Rig rig(kernel);
  ASSERT_TRUE(send_all(rig.client.get(), "question"));
  Received request;
  ASSERT_TRUE(rig.turn_until([&] {
    request.read_from(rig.target.get());
    return request.bytes.size() == 8;
  }));
  ASSERT_TRUE(send_all(rig.target.get(), "answer"));
  Received answer;
  ASSERT_TRUE(rig.turn_until([&] {
    answer.read_from(rig.client.get());
    return answer.bytes.size() == 6;
  }));
  rig.client.reset();
  ASSERT_TRUE(rig.turn_until([&] {
    request.read_from(rig.target.get());
    return request.end.has_value();
  }));
  rig.target.reset();
  ASSERT_TRUE(rig.ended());
  EXPECT_EQ(kernel.calls, (Calls{{"recv", 4}, {"send", 2}, {"shutdown", 1}, {"close", 2}}));
  EXPECT_EQ(rig.pair.end(), PairEnd::kClientClosed);
}

// A client that half-closes behind its request, as many scripts do: both FINs arrive with bytes.
TEST(RelayCalls, AHalfClosingCycleCostsSeven) {
  CountingKernel kernel;
  Rig rig(kernel);
  ASSERT_TRUE(send_all(rig.client.get(), "question"));
  ::shutdown(rig.client.get(), SHUT_WR);
  Received request;
  ASSERT_TRUE(rig.turn_until([&] {
    request.read_from(rig.target.get());
    return request.end.has_value();
  }));
  ASSERT_TRUE(send_all(rig.target.get(), "answer"));
  rig.target.reset();
  ASSERT_TRUE(rig.ended());
  Received answer;
  answer.read_from(rig.client.get());
  EXPECT_EQ(answer.bytes, "answer");
  EXPECT_EQ(answer.end, 0);
  EXPECT_EQ(kernel.calls, (Calls{{"recv", 2}, {"send", 2}, {"shutdown", 1}, {"close", 2}}));
}

TEST(RelayCalls, TheHeadGoesOutWithTheFirstBytes) {
  CountingKernel kernel;
  const std::string head = "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n";
  PairOptions options;
  options.head_to_target = {reinterpret_cast<const std::uint8_t*>(head.data()), head.size()};
  Rig rig(kernel, {}, options);
  ASSERT_TRUE(send_all(rig.client.get(), "question"));
  Received request;
  ASSERT_TRUE(rig.turn_until([&] {
    request.read_from(rig.target.get());
    return request.bytes == head + "question";
  }));
  EXPECT_EQ(kernel.calls["send"], 1);
  EXPECT_EQ(rig.pair.bytes_to_target(), head.size() + 8);
}

}  // namespace
}  // namespace sluice::relay
