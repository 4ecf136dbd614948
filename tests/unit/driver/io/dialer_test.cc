// Who is asked to connect in our place, and what becomes of his answer.
#include "driver/io/dialer.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "unit/driver/io/tcp_io_fixture.h"

namespace sluice::driver::test {
namespace {

using namespace std::chrono_literals;

class DialerTest : public TcpIoTest {
 protected:
  // A flow that a rule on addresses leads, and the dial that it makes.
  void dial(std::string_view via, std::vector<wire::Endpoint> more = {}) {
    policy::EgressDraft draft;
    policy::EgressRule rule{.id = "led", .via = policy::parse_via(via).value()};
    for (const wire::Endpoint& one : more) rule.via->endpoints.push_back(one);
    draft.rules.push_back(
        {policy::parse_egress_target("198.51.100.0/24").value(), std::move(rule)});
    policy_ = policy::EgressPolicy::compile(std::move(draft)).value();
    restart({.egress = &*policy_});
    io.emplace(IoContext{kernel, *loop_, outbound_}, tcp());
    dialer.emplace(IoContext{kernel, *loop_, outbound_}, tcp(), *io);
    feed(syn({}));
    const auto connect = take<flow::ConnectTcp>();
    ASSERT_TRUE(connect.by_way);
    id = connect.flow;
    clear();
    dialer->dial(connect, {now, sink});
    collect();
  }
  void event_of_dial(std::uint32_t events) {
    dialer->on_event(EventTag::of(EventKind::kDial, id), events, {now, sink});
    collect();
  }
  [[nodiscard]] bool answered() const {
    return frames.size() == 1 && frames[0].tcp().flags().syn() && frames[0].tcp().flags().ack();
  }
  [[nodiscard]] bool refused() {
    const auto reports = all<flow::ReportFlow>();
    return reports.size() == 1 && reports[0].summary.verdict == policy::Verdict::kViaFailed &&
           frames.size() == 1 && frames[0].tcp().flags().rst();
  }

  std::optional<Dialer> dialer;

 private:
  std::optional<policy::EgressPolicy> policy_;
};

constexpr const char* kConnect = "connect:192.0.2.9:3128";

TEST_F(DialerTest, TheGuestIsAnsweredOnceTheProxyHasSaidYes) {
  dial(kConnect);
  EXPECT_TRUE(kernel.sent.empty());
  event_of_dial(EPOLLOUT);
  ASSERT_EQ(kernel.sent.size(), 1U);
  EXPECT_EQ(kernel.sent[0], "CONNECT 198.51.100.7:80 HTTP/1.1\r\nHost: 198.51.100.7:80\r\n\r\n");
  EXPECT_TRUE(frames.empty());
  kernel.script_data("HTTP/1.1 200 O");
  event_of_dial(EPOLLIN);
  EXPECT_TRUE(frames.empty());
  kernel.script_data("HTTP/1.1 200 OK\r\n\r\nhello");
  kernel.script("recv", 19);
  event_of_dial(EPOLLIN);
  EXPECT_EQ(kernel.last("recv")->first, 19) << "what follows is the tunnel's";
  EXPECT_TRUE(answered());
  EXPECT_EQ(dialer->next_wakeup(), now + Dialer::kPatience);
  dialer->on_time({now + Dialer::kPatience, sink});
  collect();
  EXPECT_TRUE(all<flow::ReportFlow>().empty()) << "it is a connection like another";
}

TEST_F(DialerTest, TheProxyProtocolWaitsForNoAnswer) {
  dial("proxy:192.0.2.9:9000");
  event_of_dial(EPOLLOUT);
  ASSERT_EQ(kernel.sent.size(), 1U);
  EXPECT_EQ(kernel.sent[0].size(), 28U) << "an address has no authority";
  EXPECT_TRUE(answered());
}

TEST_F(DialerTest, WhatIsNoYesIsARefusal) {
  for (const char* text : {"HTTP/1.1 403 Forbidden\r\n\r\n", "SSH-2.0-x\r\n"}) {
    dial(kConnect);
    event_of_dial(EPOLLOUT);
    kernel.script_data(text);
    event_of_dial(EPOLLIN);
    EXPECT_TRUE(refused()) << text;
  }
}

TEST_F(DialerTest, OneWhoHangsUpIsARefusal) {
  dial(kConnect);
  event_of_dial(EPOLLOUT);
  kernel.script("recvmsg", 0);
  event_of_dial(EPOLLIN | EPOLLRDHUP);
  EXPECT_TRUE(refused());
}

TEST_F(DialerTest, OneWhoIsSilentIsGivenUp) {
  dial(kConnect);
  event_of_dial(EPOLLOUT);
  dialer->on_time({now + Dialer::kPatience - 1ms, sink});
  collect();
  EXPECT_TRUE(frames.empty());
  dialer->on_time({now + Dialer::kPatience, sink});
  collect();
  EXPECT_TRUE(refused());
}

TEST_F(DialerTest, HisAddressesAreTriedInOrderAndTheTargetIsNot) {
  kernel.script("connect", -1, ENETUNREACH);
  dial(kConnect, {flow::test::endpoint("[2001:db8::9]:3128")});
  EXPECT_EQ(kernel.count("connect"), 2U);
  EXPECT_EQ(kernel.last("connect")->second, AF_INET6);
  EXPECT_TRUE(frames.empty());
  kernel.script_value(ECONNREFUSED);
  event_of_dial(EPOLLERR | EPOLLHUP);
  EXPECT_EQ(kernel.count("connect"), 2U);
  EXPECT_TRUE(refused());
}

TEST_F(DialerTest, AFlowThatEndsTakesItsDialAlong) {
  dial(kConnect);
  const std::size_t before = kernel.closed.size();
  EXPECT_TRUE(dialer->close(id));
  EXPECT_EQ(kernel.closed.size(), before + 1);
  EXPECT_FALSE(dialer->close(id));
  event_of_dial(EPOLLOUT);
  EXPECT_TRUE(kernel.sent.empty());
}

}  // namespace
}  // namespace sluice::driver::test
