// The test is the agent: it makes the sockets at the guest's loopback, which is this machine's.
#include "driver/loopback/loopback_datagrams.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "agent/agent_wire.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::driver {
namespace {

using flow::test::Bytes;

class LoopbackDatagramsTest : public flow::test::EngineFixture {
 protected:
  LoopbackDatagramsTest() : loop_(std::move(sys::EventLoop::create(kernel_).value())) {
    auto [ours, theirs] = agent::GuestAgent::pair().value();
    agent_ = std::move(ours);
    far_ = std::move(theirs);
    policy::PortMap map;
    map.protocol = policy::Protocol::kUdp;
    map.host_first = wire::Port{6000};
    map.guest_first = wire::Port{5000};
    ports_.add(std::array{map});
    EXPECT_TRUE(ports_.order(agent_, 0));
    auto made = bound();
    at_ = made.local_endpoint().value();
    std::vector<UniqueFd> sockets;
    sockets.emplace_back(::dup(made.fd()));
    ports_.on_socket(0, {.tag = 0, .error = 0, .sockets = std::move(sockets)}, loop_.now());
  }
  host::UdpSocket bound() {
    return host::UdpSocket::open(
               kernel_, wire::IpFamily::kV4,
               {.bind = wire::Endpoint{wire::IpAddress::loopback(wire::IpFamily::kV4), {}}})
        .value();
  }
  static sockaddr_in address_of(const wire::Endpoint& endpoint) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port.value);
    address.sin_addr.s_addr = htonl(endpoint.address.v4_value());
    return address;
  }
  void write(const host::UdpSocket& from, const std::string& text) const {
    const sockaddr_in to = address_of(at_);
    ASSERT_EQ(::sendto(from.fd(), text.data(), text.size(), 0,
                       reinterpret_cast<const sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(text.size()));
  }
  // The engine's actions are not carried out: its own bytes are looked at.
  void read() {
    datagrams_.on_event({EventKind::kGuestDatagrams, 0}, {now, sink});
    collect();
  }

  sys::Kernel& kernel_ = sys::real_kernel();
  sys::EventLoop loop_;
  agent::GuestAgent agent_;
  UniqueFd far_;
  LoopbackPorts ports_{kernel_, loop_};
  LoopbackDatagrams datagrams_{engine(), ports_};
  wire::Endpoint at_;
};

TEST_F(LoopbackDatagramsTest, AQuestionIsAFlowAndItsAnswerGoesBack) {
  const host::UdpSocket program = bound();
  write(program, "question");
  read();
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].bytes, Bytes({'q', 'u', 'e', 's', 't', 'i', 'o', 'n'}));
  EXPECT_EQ(datagrams[0].action.target.port.value, 6000);
  const std::string text = "answer";
  datagrams_.answer({.listener = 0,
                     .target = program.local_endpoint().value(),
                     .payload = {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}});
  datagrams_.flush();
  std::array<char, 100> got{};
  sockaddr_in from{};
  socklen_t length = sizeof from;
  ASSERT_EQ(::recvfrom(program.fd(), got.data(), got.size(), 0, reinterpret_cast<sockaddr*>(&from),
                       &length),
            static_cast<ssize_t>(text.size()));
  EXPECT_EQ(ntohs(from.sin_port), at_.port.value);  // By the socket that was asked.
}

TEST_F(LoopbackDatagramsTest, ManyAtOnceAreReadAtOnce) {
  const host::UdpSocket program = bound();
  for (int i = 0; i < 10; ++i) write(program, "again");
  read();
  EXPECT_EQ(datagrams.size(), 10U);
  EXPECT_EQ(engine().flow_count(), 1U);
}

TEST_F(LoopbackDatagramsTest, AnswersOfAListenerThatIsNotThereAreDropped) {
  const Bytes bytes(10);
  datagrams_.answer({.listener = 1, .target = at_, .payload = bytes});
  datagrams_.flush();
  read();
  EXPECT_TRUE(datagrams.empty());
}

}  // namespace
}  // namespace sluice::driver
